// What would happen to a connection, and which rules it meets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/explain.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include "chains/build.hpp"
#include "chains/netlink/bridges.hpp"
#include "chains/netlink/devices.hpp"
#include "chains/text.hpp"
#include "fw/base/endpoint.hpp"
#include "fw/base/ip_protocol.hpp"
#include "fw/base/port.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/explain.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/panic.hpp"

namespace fw::ops {
namespace {

using chains::Outcome;
using chains::Time;

constexpr std::uint8_t kPing = 1, kTcp = 6, kUdp = 17;
constexpr std::uint32_t kDnat = 1u << 5;  // IPS_DST_NAT

/// One question: a packet that begins something, and where it goes.
struct Question {
  chains::Hook hook = chains::Hook::input;
  chains::Arrival first;
  std::string text;
};

struct Explanation {
  Question question;
  chains::Beginning beginning;
  std::vector<ExplainBudget> budgets;
};

/// What rules are asked, and what is known besides them.
struct World {
  Policy policy;
  Lists lists;
  std::vector<chains::Device> devices;
  std::vector<chains::Bridge> bridges;
  std::optional<chains::Kernel> kernel;
  chains::Ruleset ruleset;
  chains::Managed managed;
  std::vector<std::string> notes;
};

bool is_local(Ip ip) {
  return !except_local([](Ip) { return true; })(ip);
}

bool in_app_networks(const Policy& policy, Ip ip) {
  return std::any_of(policy.app_networks.begin(), policy.app_networks.end(), [ip](const auto& net) {
    return net.value.contains({ip.family, ip.bits, ip.bits});
  });
}

/// Where apps with that address are, whether or not such a bridge is there yet.
chains::Device app_bridge(const World& world, Ip ip) {
  for (const auto& network : world.policy.app_networks) {
    if (!network.value.contains({ip.family, ip.bits, ip.bits})) continue;
    for (const chains::Bridge& bridge : world.bridges) {
      if (chains::has_address_in(bridge, network.value)) {
        return {bridge.name, bridge.index, "bridge"};
      }
    }
  }
  return {"", 0, "bridge"};
}

std::unexpected<Error> wrong(std::string what) { return fail(ErrorCode::usage, what); }

/// "tcp/443", "udp/53", "443", "ping", "vrrp": the protocol, and the port or 0.
std::optional<std::pair<std::uint8_t, std::uint16_t>> parse_service(std::string_view word) {
  if (word == "ping") return std::pair{kPing, std::uint16_t{0}};
  for (const IpProtocol& known : kIpProtocols) {
    const bool has_ports = known.number == kTcp || known.number == kUdp || known.number == kPing;
    if (known.name == word && !has_ports) return std::pair{known.number, std::uint16_t{0}};
  }
  const auto port = parse_ports(word);
  if (!port || !port->single()) return {};
  return std::pair{static_cast<std::uint8_t>(port->protocol), port->first};
}

/// What is wrong with a word that was meant as a port; nothing when it was not.
std::optional<std::string> why_no_port(std::string_view word) {
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  const std::size_t slash = std::min(word.find('/'), word.size());
  const std::string_view behind = word.substr(std::min(slash + 1, word.size()));
  if (is_number(word.substr(0, slash)) && (behind == "tcp" || behind == "udp"))
    return fmt::format("{} is not a port: write {}/{}", quote(word), behind, word.substr(0, slash));
  const bool named = word.starts_with("udp/") || word.starts_with("tcp/");
  if (!is_number(named ? word.substr(4) : word)) return {};
  return parse_ports(word).error().what;
}

template <class T>
Result<const T*> named(const std::vector<T>& values, const std::string& name, const char* kind) {
  std::vector<std::string_view> known;
  for (const T& value : values) {
    if (value.name == name) return &value;
    known.push_back(value.name);
  }
  std::string what = fmt::format("the policy names no {} {}", kind, quote(name));
  const auto near = nearest(name, known);
  return wrong(near.empty() ? what : what + ", did you mean " + quote(near) + "?");
}

/// Addresses that a word names, and the app or addon behind it.
struct End {
  std::vector<Ip> addresses;
  const App* app = nullptr;
  const Addon* addon = nullptr;
};

Result<End> parse_end(const Policy& policy, const std::string& word) {
  if (word.starts_with("app:")) {
    const auto app = named(policy.apps, word.substr(4), "app");
    if (!app) return std::unexpected(app.error());
    return End{(*app)->addresses, *app, nullptr};
  }
  if (word.starts_with("addon:")) {
    const auto addon = named(policy.addons, word.substr(6), "addon");
    if (!addon) return std::unexpected(addon.error());
    return End{(*addon)->addresses, nullptr, *addon};
  }
  const auto ip = parse_ip(word);
  if (!ip) {
    return wrong(quote(word) +
                 " is not an address, app:NAME, addon:NAME or port (tcp/443, udp/53, ping)");
  }
  return End{{*ip}, nullptr, nullptr};
}

bool publishes(const App& app, std::uint8_t protocol, std::uint16_t port) {
  return std::any_of(app.publishes.begin(), app.publishes.end(), [&](const PortRange& range) {
    return range.contains(static_cast<Protocol>(protocol), port);
  });
}

class Asking {
 public:
  Asking(const World& world, const std::string& via) : world_(world), via_(via) {}

  Result<std::vector<Question>> questions(const std::vector<std::string>& words) {
    const auto from = parse_end(world_.policy, words.front());
    if (!from) return std::unexpected(from.error());
    const auto service = parse_service(words.back());
    const bool to_host = service && words.size() == 2;
    if (!service) {
      if (auto why = why_no_port(words.back())) return wrong(std::move(*why));
    }
    End to;
    if (!to_host) {
      const auto end = parse_end(world_.policy, words[1]);
      if (!end) return std::unexpected(end.error());
      to = *end;
    }
    if (words.size() == 3 && !service) {
      return wrong(quote(words.back()) + " is not a port: write tcp/443, udp/53, ping or vrrp");
    }
    if (!service && to.addon == nullptr) return wrong("to which port? add tcp/443, udp/53 or ping");
    std::vector<std::pair<std::uint8_t, std::uint16_t>> services;
    if (service) {
      services.push_back(*service);
    } else {
      for (const PortRange& range : to.addon->ports) {
        services.emplace_back(static_cast<std::uint8_t>(range.protocol), range.first);
      }
    }
    for (const Ip source : from->addresses) {
      for (const auto& [protocol, port] : services) {
        if (to_host) {
          host(source, protocol, port);
        } else {
          ends(source, to, protocol, port);
        }
      }
    }
    if (out_.empty()) return wrong("the two ends have no address family in common");
    return std::move(out_);
  }

 private:
  void host(Ip source, std::uint8_t protocol, std::uint16_t port) {
    for (const App& app : world_.policy.apps) {
      if (in_app_networks(world_.policy, source) || !publishes(app, protocol, port)) continue;
      for (const Ip address : app.addresses) {
        if (address.family != source.family) continue;
        add(chains::Hook::forward, source, address, protocol, port, kDnat,
            "published by app " + app.name);
        return;
      }
    }
    add(chains::Hook::input, source, {source.family, 0}, protocol, port, 0, "this host");
  }

  void ends(Ip source, const End& to, std::uint8_t protocol, std::uint16_t port) {
    for (const Ip address : to.addresses) {
      if (address.family != source.family) continue;
      const bool published = to.app != nullptr && publishes(*to.app, protocol, port) &&
                             !in_app_networks(world_.policy, source);
      const bool local = is_local(address);
      add(local ? chains::Hook::input : chains::Hook::forward, source, address, protocol, port,
          published ? kDnat : 0, to_string(address));
    }
  }

  void add(chains::Hook hook, Ip source, Ip destination, std::uint8_t protocol, std::uint16_t port,
           std::uint32_t status, const std::string& where) {
    Question q;
    q.hook = hook;
    Packet& p = q.first.packet;
    p = {source, destination, 40'000, port, protocol, 0, 0, true};
    std::string service = fmt::format("{}/{}", protocol == kTcp ? "tcp" : "udp", port);
    if (port == 0) service = protocol_text(protocol);
    if (protocol == kPing) {
      const bool v4 = source.family == Family::ipv4;
      p.protocol = v4 ? 1 : 58;
      p.icmp_type = v4 ? 8 : 128;
      p.source_port = 0;
      service = "ping";
    }
    q.first.connection.emplace();
    q.first.connection->status = status;
    q.first.connection->original_dport =
        protocol == kPing ? static_cast<std::uint16_t>(p.icmp_type << 8) : port;
    const bool app = in_app_networks(world_.policy, source);
    if (!via_.empty()) {
      q.first.device = {via_, if_nametoindex(via_.c_str())};
    } else if (is_loopback(source)) {
      q.first.device = {"lo", 1};
    } else if (app) {
      q.first.device = app_bridge(world_, source);
    } else {
      q.first.device = usual_device(source);
    }
    if (in_app_networks(world_.policy, destination)) {
      q.first.out = app_bridge(world_, destination);
    } else {
      q.first.out = world_.devices.empty() ? chains::Device{} : world_.devices.front();
    }
    q.first.route_back = true;
    q.text = fmt::format("{} to {}, {}", to_string(source), service, where);
    out_.push_back(std::move(q));
  }

  chains::Device usual_device(Ip source) const {
    if (auto device = chains::device_towards(source)) return std::move(*device);
    return world_.devices.empty() ? chains::Device{} : world_.devices.front();
  }

  const World& world_;
  const std::string& via_;
  std::vector<Question> out_;
};

Result<void> ask_policy(World& world, const Environment& env) {
  std::optional<Store> store;
  if (access(env.state_dir.c_str(), W_OK) == 0) {
    auto opened = Store::open(env.state_dir);
    if (!opened) return std::unexpected(opened.error());
    store = std::move(*opened);
  } else {
    world.notes.emplace_back("blocks are ignored: only root can read them");
  }
  const auto panic = read_panic(env.state_dir);
  auto target = compile_target(world.policy, world.lists, store ? &*store : nullptr,
                               panic ? std::optional(panic->panic) : std::nullopt);
  if (!target) return std::unexpected(target.error());
  auto managed = managed_sets(*target, world.lists, store ? &*store : nullptr);
  if (!managed) return std::unexpected(managed.error());
  world.ruleset = std::move(target->ruleset);
  world.managed = std::move(*managed);
  return {};
}

Result<void> ask_kernel(World& world) {
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  world.kernel = std::move(*kernel);
  auto observed = world.kernel->read();
  if (!observed) return std::unexpected(observed.error());
  if (observed->table() == nullptr || observed->ruleset->dormant) {
    world.notes.emplace_back("the firewall is not in force: everything passes");
  } else if (observed->ruleset->bridge_dormant) {
    world.notes.emplace_back(
        name_of(chains::Table::bridge) +
        " is dormant: a container can forge frames on its bridge, and with them "
        "the sender of what is asked here");
  }
  if (observed->table() != nullptr) world.ruleset = std::move(*observed->ruleset);
  world.managed = managed_sets(*world.kernel);
  return {};
}

void add_bucket(ExplainBudget& budget, const chains::RateLimit& limit,
                const chains::Bucket* bucket) {
  budget.of += limit.burst;
  budget.left += bucket != nullptr ? bucket->tokens(Time{0}) : limit.burst;
  budget.exact = budget.exact && (bucket == nullptr || bucket->exact);
}

/// The limit object that a map holds for the source, if there is one.
const chains::Object* object_of(const World& world, const chains::ObjectMap& map, Ip source) {
  const chains::Set* set = chains::find(world.ruleset.sets, map.map);
  if (set == nullptr) return nullptr;
  for (const chains::Element& element : set->elements) {
    const auto* name = std::get_if<std::string>(&element.data);
    if (element.key != to_bytes(source) || name == nullptr) continue;
    const chains::Object* object = chains::find(world.ruleset.objects, *name);
    return object != nullptr && object->limit ? object : nullptr;
  }
  return nullptr;
}

const chains::LearnedElement* element_of(const chains::State& state, const chains::DynSet& dyn,
                                         Ip source) {
  const auto set = state.learned.find(dyn.set);
  if (set == state.learned.end()) return nullptr;
  const auto it = set->second.find(chains::source_key(dyn.key, source));
  return it != set->second.end() ? &it->second : nullptr;
}

/// What the chain that counts finds for the source: its app's objects, else its elements.
std::optional<ExplainBudget> budget_of(const World& world, const chains::State& state,
                                       const std::string& limit, Ip source) {
  const std::string usual = limit + ".count" + chains::build::digit(source.family);
  const bool translated = is_translated(world.policy.translated, source);
  const auto* chain = chains::find(world.ruleset.chains, translated ? usual + "4" : usual);
  if (chain == nullptr) chain = chains::find(world.ruleset.chains, usual);
  if (chain == nullptr) return {};
  ExplainBudget apps{limit, 0, 0, true, {}};
  ExplainBudget sources = apps;
  const auto take = [&](const chains::Expr& expr) {
    if (const auto* map = std::get_if<chains::ObjectMap>(&expr)) {
      const chains::Object* object = object_of(world, *map, source);
      if (object == nullptr) return;
      const auto bucket = state.limits.find(object->name);
      add_bucket(apps, *object->limit, bucket != state.limits.end() ? &bucket->second : nullptr);
    }
    const auto* dyn = std::get_if<chains::DynSet>(&expr);
    const auto* rate = dyn != nullptr ? std::get_if<chains::RateLimit>(&dyn->state) : nullptr;
    if (rate == nullptr) return;
    const chains::LearnedElement* element = element_of(state, *dyn, source);
    const bool known = element != nullptr && element->bucket;
    add_bucket(sources, *rate, known ? &*element->bucket : nullptr);
    if (known && element->ends && dyn->op == chains::DynOp::add) {
      const auto ends = std::chrono::ceil<std::chrono::milliseconds>(*element->ends);
      sources.until = std::min(sources.until.value_or(ends), ends);
    }
  };
  for (const chains::Rule& rule : chain->rules) {
    for (const chains::Expr& expr : rule.exprs) take(expr);
  }
  return apps.of != 0 ? apps : sources;
}

Result<Explanation> explain(World& world, const Question& question) {
  Explanation out{question, {}, {}};
  chains::State state;
  const Ip source = question.first.packet.source;
  if (world.kernel) {
    auto learned = learned_of(*world.kernel, world.ruleset, source);
    if (!learned) return std::unexpected(learned.error());
    state = std::move(*learned);
  }
  const chains::State before = state;
  out.beginning = chains::begin_connection(world.ruleset, question.hook, question.first,
                                           world.managed, state, Time{0});
  std::set<std::string> met;
  for (const auto& [which, evaluation] : out.beginning.packets) {
    for (const chains::Step& step : evaluation.steps) {
      const auto dot = step.chain.find('.');
      if (dot == std::string::npos || !met.insert(step.chain.substr(0, dot)).second) continue;
      auto budget = budget_of(world, before, step.chain.substr(0, dot), source);
      if (budget) out.budgets.push_back(std::move(*budget));
    }
  }
  return out;
}

std::string packet_text(chains::Beginning::Packet which, std::uint8_t protocol) {
  switch (which) {
    case chains::Beginning::Packet::first:
      return protocol == kTcp ? "the SYN" : "the first packet";
    case chains::Beginning::Packet::answer:
      return protocol == kTcp ? "the SYN-ACK that comes back" : "what comes back";
    case chains::Beginning::Packet::second:
      return "the first packet after the handshake";
  }
  return "?";
}

std::string rule_text(const World& world, const chains::Step& step) {
  if (!step.rule)
    return step.verdict->kind == chains::VerdictKind::drop ? "policy drop" : "policy accept";
  const chains::Rule& rule = chains::find(world.ruleset.chains, step.chain)->rules[*step.rule];
  std::string text = chains::to_text(rule);
  const bool from_map =
      !rule.exprs.empty() && std::holds_alternative<chains::Lookup>(rule.exprs.back());
  if (from_map && step.verdict) text += " => " + chains::to_text(chains::Expr(*step.verdict));
  return text;
}

/// The last policy line that a matching rule or element came from: of what refused, or of any
/// packet that had to pass.
Location deciding_line(const Explanation& e) {
  Location where;
  for (const auto& [which, evaluation] : e.beginning.packets) {
    if (e.beginning.outcome() != Outcome::accepted) where = {};
    for (const chains::Step& step : evaluation.steps) {
      if (step.matched() && !step.where.file.empty()) where = step.where;
    }
  }
  return where;
}

ExplainAnswer answer_of(const World& world, Explanation e) {
  ExplainAnswer out{e.question.text, e.beginning.outcome(), deciding_line(e), {}, {}};
  for (const auto& [which, evaluation] : e.beginning.packets) {
    ExplainPacket packet{packet_text(which, e.question.first.packet.protocol),
                         evaluation.outcome,
                         evaluation.unknown,
                         {},
                         {}};
    packet.assumed.assign(evaluation.assumed.begin(), evaluation.assumed.end());
    for (const chains::Step& step : evaluation.steps) {
      packet.steps.push_back({step.chain, rule_text(world, step), step.matched(), step.where});
    }
    out.packets.push_back(std::move(packet));
  }
  out.limits = std::move(e.budgets);
  return out;
}

}  // namespace

Result<ExplainReport> explain(const Environment& env, const ExplainRequest& request) {
  auto loaded = load_policy(env, request.source);
  if (!loaded) return fail(ErrorCode::policy, "cannot explain: the policy has errors");
  World world{std::move(loaded->policy),
              Lists(env.state_dir),
              early_drop_devices(),
              chains::read_bridges(),
              {},
              {},
              {},
              {}};
  const auto ready = request.live ? ask_kernel(world) : ask_policy(world, env);
  if (!ready) return std::unexpected(ready.error());
  std::vector<std::string> words{request.from};
  words.insert(words.end(), request.to.begin(), request.to.end());
  const auto questions = Asking(world, request.via).questions(words);
  if (!questions) return std::unexpected(questions.error());
  ExplainReport report{request.live, {}, {}};
  for (const Question& question : *questions) {
    auto explained = explain(world, question);
    if (!explained) return std::unexpected(explained.error());
    report.answers.push_back(answer_of(world, std::move(*explained)));
  }
  report.notes = std::move(world.notes);
  return report;
}

}  // namespace fw::ops
