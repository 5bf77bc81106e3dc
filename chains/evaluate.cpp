// Evaluates a packet against a ruleset.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/evaluate.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "chains/admission.hpp"
#include "chains/build.hpp"

namespace chains {
namespace {

using namespace build;

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;

/// What loading a field comes to. The kernel ends the rule when there is nothing to load.
struct Loaded {
  enum class Kind : std::uint8_t { value, nothing, unknown };
  Kind kind = Kind::value;
  Bytes bytes;
};
constexpr auto kNothing = Loaded::Kind::nothing;
constexpr auto kUnknown = Loaded::Kind::unknown;

/// How many copies of an option rules have taken off the packet.
struct Stripped {
  std::size_t fast_open = 0;
  std::size_t experimental = 0;
};

/// One packet's loads. The same bytes have other names in other protocols: what a rule loads
/// without having asked for the protocol is not known here.
class Loads {
 public:
  Loads(const Arrival& arrival, const Bytes& label, const Stripped& stripped)
      : arrival_(arrival), label_(label), stripped_(stripped) {}

  Loaded operator()(const KeyPart& part) const {
    Loaded loaded = load(part.field);
    for (std::size_t i = 0; i < std::min(part.mask.size(), loaded.bytes.size()); ++i) {
      loaded.bytes[i] &= part.mask[i];
    }
    return loaded;
  }

 private:
  static Loaded value(Bytes bytes) { return {Loaded::Kind::value, std::move(bytes)}; }
  static Loaded if_known(bool known, Bytes bytes) {
    return known ? value(std::move(bytes)) : Loaded{kUnknown, {}};
  }
  Loaded of_transport(bool known, Bytes bytes) const {
    if (!arrival_.packet.complete) return {kNothing, {}};
    return if_known(known, std::move(bytes));
  }
  Loaded of_address(fw::Family family, fw::Ip ip) const {
    return if_known(ip.family == family, fw::to_bytes(ip));
  }

  Loaded load(Field field) const {
    const fw::Packet& p = arrival_.packet;
    const bool ports = p.protocol == kTcp || p.protocol == kUdp;
    switch (field) {
      case Field::nfproto:
        return value(u8(p.source.family == fw::Family::ipv4 ? 2 : 10));
      case Field::l4proto:
        return value(u8(p.protocol));
      case Field::iif:
        return value(u32(arrival_.device.index));
      case Field::iifname:
        return value(interface_bytes(arrival_.device.name));
      case Field::iifkind:
        return value(interface_bytes(arrival_.device.kind));
      case Field::oif:
        return if_known(arrival_.out.has_value(), u32(out().index));
      case Field::oifname:
        return if_known(arrival_.out.has_value(), interface_bytes(out().name));
      case Field::oifkind:
        return if_known(arrival_.out.has_value(), interface_bytes(out().kind));
      case Field::ip_saddr:
        return of_address(fw::Family::ipv4, p.source);
      case Field::ip_daddr:
        return of_address(fw::Family::ipv4, p.destination);
      case Field::ip6_saddr:
        return of_address(fw::Family::ipv6, p.source);
      case Field::ip6_daddr:
        return of_address(fw::Family::ipv6, p.destination);
      case Field::ip6_hoplimit:
        return if_known(p.source.family == fw::Family::ipv6, u8(arrival_.hop_limit));
      case Field::tcp_flags:
        return of_transport(p.protocol == kTcp, u8(p.tcp_flags));
      case Field::udp_dport:
      case Field::th_dport:
        return of_transport(ports, u16(p.destination_port));
      case Field::th_sport:
        return of_transport(ports, u16(p.source_port));
      case Field::icmp_type:
        return of_transport(p.protocol == kIcmp, u8(p.icmp_type));
      case Field::icmpv6_type:
        return of_transport(p.protocol == kIcmp6, u8(p.icmp_type));
      case Field::mark:
      case Field::ether_type:
      case Field::ether_saddr:
      case Field::ether_daddr:
      case Field::arp_saddr_ip:
      case Field::nd_target:
        return {kUnknown, {}};
      case Field::route_back:
        return if_known(arrival_.route_back.has_value(), u32(arrival_.route_back.value_or(false)));
      case Field::tcp_fast_open:
        return value(u8(p.fast_open > stripped_.fast_open ? 1 : 0));
      case Field::tcp_experimental:
        return value(u8(p.experimental > stripped_.experimental ? 1 : 0));
      case Field::tcp_payload:
        if (p.protocol == kTcp && p.payload == 0) return {kNothing, {}};
        return of_transport(p.protocol == kTcp, u8(0));  // asked for whether there is one
      case Field::ct_state:
      case Field::ct_direction:
      case Field::ct_status:
      case Field::ct_mark:
      case Field::ct_original_dport:
      case Field::ct_label:
      case Field::ct_id:
        return of_connection(field);
    }
    return {kUnknown, {}};
  }

  Device out() const { return arrival_.out.value_or(Device{}); }

  Loaded of_connection(Field field) const {
    const auto& c = arrival_.connection;
    if (field == Field::ct_state) return value(u32(c ? c->state : kStateInvalid));
    if (!c || c->state == kStateUntracked) return {kNothing, {}};
    if (field == Field::ct_direction) return value(u8(c->reply ? 1 : 0));
    if (field == Field::ct_status) return value(u32(c->status));
    if (field == Field::ct_mark) return value(u32(c->mark));
    if (field == Field::ct_label) return value(label_);
    if (field == Field::ct_id) return value(u32(c->id));
    return value(u16(c->original_dport));
  }

  const Arrival& arrival_;
  const Bytes& label_;
  const Stripped& stripped_;
};

/// A set's key as loaded, part by part.
struct LoadedKey {
  std::vector<Loaded> parts;
  Bytes bytes;  ///< as a set holds it

  bool any(Loaded::Kind kind) const {
    return std::any_of(parts.begin(), parts.end(),
                       [kind](const Loaded& part) { return part.kind == kind; });
  }
};

LoadedKey load_key(const Key& key, const Loads& loads) {
  LoadedKey out;
  for (const KeyPart& part : key) {
    out.parts.push_back(loads(part));
    Bytes bytes = out.parts.back().bytes;
    bytes.resize(info(part.field).length);
    out.parts.back().bytes = bytes;
    if (key.size() > 1) bytes.resize((bytes.size() + 3) / 4 * 4);
    out.bytes.insert(out.bytes.end(), bytes.begin(), bytes.end());
  }
  return out;
}

enum class Answer : std::uint8_t { no, yes, unknown };

Answer answer(std::optional<bool> known) {
  return !known ? Answer::unknown : *known ? Answer::yes : Answer::no;
}

/// Each part of a key lies in the element's interval of that part. What is not known lies in every
/// one, but is no certain match.
Answer holds(const Element& element, const LoadedKey& key) {
  std::size_t at = 0;
  Answer all = Answer::yes;
  for (const Loaded& part : key.parts) {
    const std::size_t length = part.bytes.size();
    const Bytes& last = element.key_last.empty() ? element.key : element.key_last;
    if (at + length > element.key.size() || at + length > last.size()) return Answer::unknown;
    if (part.kind == kUnknown) {
      all = Answer::unknown;
    } else if (std::memcmp(part.bytes.data(), element.key.data() + at, length) < 0 ||
               std::memcmp(part.bytes.data(), last.data() + at, length) > 0) {
      return Answer::no;
    }
    at += (length + 3) / 4 * 4;
  }
  return all;
}

/// What an expression comes to: the rule goes on, ends, or a verdict was found.
struct Go {
  enum class Kind : std::uint8_t { on, mismatch, verdict, reset, unknown };
  Kind kind = Kind::on;
  Verdict verdict;
  const Element* element = nullptr;
  std::string why;
};

Go on() { return {}; }
Go mismatch() { return {Go::Kind::mismatch, {}, nullptr, {}}; }
Go on_if(bool so) { return so ? on() : mismatch(); }
Go not_known(std::string why) { return {Go::Kind::unknown, {}, nullptr, std::move(why)}; }

Go not_known(const Key& key) {
  std::string text;
  for (const KeyPart& part : key)
    text += std::string(text.empty() ? "" : " . ") + info(part.field).text;
  return not_known(text + " is not known here");
}

/// The expressions of one rule.
class Evaluating {
 public:
  Evaluating(const Ruleset& ruleset, const Arrival& arrival, const Managed& managed, State& state,
             Time now, Evaluation& out)
      : ruleset_(ruleset),
        arrival_(arrival),
        managed_(managed),
        state_(state),
        now_(now),
        out_(out) {}

  Go expression(const Chain& chain, std::size_t rule, std::size_t index) {
    place_ = {&chain, rule, index};
    return std::visit(*this, chain.rules[rule].exprs[index]);
  }

  Go operator()(const Match& e) const {
    Loaded loaded = loads()(e.what);
    if (loaded.kind == kNothing) return mismatch();
    if (loaded.kind == kUnknown) return not_known(Key{e.what});
    // Of a name its beginning may be asked for: the kernel compares as many bytes as are given.
    Bytes bytes = loaded.bytes;
    bytes.resize(std::min(bytes.size(), e.value.size()));
    return on_if((bytes == e.value) == (e.op == Compare::equal));
  }

  Go operator()(const Lookup& e) {
    const LoadedKey key = load_key(e.key, loads());
    if (key.any(kNothing)) return mismatch();
    const Set* set = find(ruleset_.sets, e.set);
    if (set == nullptr) return not_known("set " + e.set + " is the admin's own");
    const Element* element = nullptr;
    const Answer found = look(*set, key, element);
    if (found == Answer::unknown) {
      return key.any(kUnknown) ? not_known(e.key) : not_known("what set " + e.set + " holds");
    }
    if ((found == Answer::yes) == e.inverted) return mismatch();
    if (found == Answer::yes && !use(*set, key, element)) return mismatch();
    if (!e.verdict) return {Go::Kind::on, {}, element, {}};
    const auto* verdict = element != nullptr ? std::get_if<Verdict>(&element->data) : nullptr;
    if (verdict == nullptr) return not_known("what map " + e.set + " says");
    return {Go::Kind::verdict, *verdict, element, {}};
  }

  Go operator()(const DynSet& e) {
    const LoadedKey key = load_key(e.key, loads());
    if (key.any(kNothing)) return mismatch();
    if (key.any(kUnknown)) return not_known(e.key);
    const Set* set = find(ruleset_.sets, e.set);
    if (set == nullptr) return not_known("set " + e.set + " is the admin's own");
    if (e.op == DynOp::remove) {
      state_.learned[e.set].erase(key.bytes);
      return on();
    }
    LearnedElement* element = live(*set, key.bytes);
    if (element == nullptr) {
      element = add(*set, key.bytes);
      if (element == nullptr) return mismatch();  // it is full
      if (const auto* limit = std::get_if<RateLimit>(&e.state)) {
        element->bucket = Bucket::full(*limit, now_);
      }
    } else if (e.op == DynOp::update && element->ends) {
      element->ends = now_ + set->timeout_default;
    }
    if (const auto* most = std::get_if<ConnLimit>(&e.state))
      return too_many(*most, *element, e.set);
    return on_if(!element->bucket || take(*element->bucket, e.set));
  }

  Go operator()(const RateLimit& e) {
    const auto& [chain, rule, index] = place_;
    const auto at = std::tuple(chain->name, rule, index);
    const auto it = state_.own_limits.try_emplace(at, Bucket::full(e, now_)).first;
    return on_if(take(it->second, "a limit in chain " + chain->name));
  }

  Go operator()(const ObjectRef& e) { return object(e.kind, e.name); }

  Go operator()(const ObjectMap& e) {
    const LoadedKey key = load_key(e.key, loads());
    if (key.any(kNothing)) return mismatch();
    const Set* map = find(ruleset_.sets, e.map);
    if (map == nullptr) return not_known("map " + e.map + " is the admin's own");
    const Element* element = nullptr;
    const Answer found = look(*map, key, element);
    if (found == Answer::no) return mismatch();
    const auto* name = element != nullptr ? std::get_if<std::string>(&element->data) : nullptr;
    if (found == Answer::unknown || name == nullptr)
      return not_known("what map " + e.map + " says");
    return object(e.kind, *name);
  }

  Go operator()(const CtLabelSet& e) {
    out_.label = out_.label | e.bits;
    return on();
  }
  Go operator()(const Log&) const { return on(); }
  Go operator()(const StripTcpOption& e) {
    if (e.kind == kTcpFastOpen) ++stripped_.fast_open;
    if (e.kind == kTcpExperimental) ++stripped_.experimental;
    return on();
  }
  Go operator()(const KernelLog&) const { return on(); }
  Go operator()(const Count&) const { return on(); }
  Go operator()(const Reject&) const { return {Go::Kind::reset, {}, nullptr, {}}; }
  Go operator()(const RejectTcpReset&) const { return {Go::Kind::reset, {}, nullptr, {}}; }
  Go operator()(const Verdict& e) const { return {Go::Kind::verdict, e, nullptr, {}}; }

  Go operator()(const Foreign& e) const {
    // A rule's own counter changes nothing; nearly every rule that is written by hand has one.
    return e.text.starts_with("counter ") ? on() : not_known("a rule says \"" + e.text + "\"");
  }

 private:
  Loads loads() const { return {arrival_, out_.label, stripped_}; }

  bool ended(const LearnedElement& element) const { return element.ends && *element.ends <= now_; }

  LearnedElement* live(const Set& set, const Bytes& key) {
    const auto elements = state_.learned.find(set.name);
    if (elements == state_.learned.end()) return nullptr;
    const auto it = elements->second.find(key);
    return it == elements->second.end() || ended(it->second) ? nullptr : &it->second;
  }

  LearnedElement* add(const Set& set, const Bytes& key) {
    constexpr std::uint32_t kSizeDefault = 65'535;  // net/netfilter/nft_dynset.c
    const std::size_t size = set.size != 0 ? set.size : kSizeDefault;
    std::map<Bytes, LearnedElement>& elements = state_.learned[set.name];
    elements.erase(key);
    if (elements.size() >= size) {
      std::erase_if(elements, [this](const auto& one) { return ended(one.second); });
    }
    if (elements.size() >= size) return nullptr;
    LearnedElement& element = elements[key];
    if (set.timeout_default.count() != 0) element.ends = now_ + set.timeout_default;
    return &element;
  }

  Answer look(const Set& set, const LoadedKey& key, const Element*& element) {
    if (set.content == Content::managed) {
      return key.any(kUnknown) || !managed_ ? Answer::unknown : answer(managed_(set, key.bytes));
    }
    if (set.content == Content::learned) {
      if (key.any(kUnknown)) return Answer::unknown;
      return live(set, key.bytes) != nullptr ? Answer::yes : Answer::no;
    }
    Answer all = Answer::no;
    for (const Element& one : set.elements) {
      const Answer here = holds(one, key);
      if (here == Answer::yes) element = &one;
      if (here == Answer::yes) return here;
      if (here == Answer::unknown) all = here;
    }
    return all;
  }

  /// An element that was found counts the packet, and its own limit may say no.
  bool use(const Set& set, const LoadedKey& key, const Element* element) {
    if (set.counter && element != nullptr) ++state_.element_counts[{set.name, element->key}];
    LearnedElement* learned = set.content == Content::learned ? live(set, key.bytes) : nullptr;
    return learned == nullptr || !learned->bucket || take(*learned->bucket, set.name);
  }

  bool take(Bucket& bucket, const std::string& name) {
    if (bucket.take(now_)) return true;
    if (bucket.exact) return false;
    out_.assumed.push_back(name);
    return true;
  }

  Go too_many(const ConnLimit& most, LearnedElement& element, const std::string& set) {
    const FlowEnds flow = ends_of(arrival_.packet);
    if (std::find(element.open.begin(), element.open.end(), flow) == element.open.end()) {
      element.open.push_back(flow);
    }
    if (element.open.size() > most.count) return on();
    if (!element.open_exact) out_.assumed.push_back(set);
    return mismatch();
  }

  Go object(ObjectKind kind, const std::string& name) {
    const Object* object = find(ruleset_.objects, name);
    if (object == nullptr) return not_known("object " + name + " is the admin's own");
    if (kind == ObjectKind::counter) {
      ++state_.counters[name];
      return on();
    }
    if (!object->limit) return not_known("object " + name + " is no limit");
    const auto it = state_.limits.try_emplace(name, Bucket::full(*object->limit, now_)).first;
    return on_if(take(it->second, name));
  }

  const Ruleset& ruleset_;
  const Arrival& arrival_;
  const Managed& managed_;
  State& state_;
  Time now_;
  Evaluation& out_;
  std::tuple<const Chain*, std::size_t, std::size_t> place_{};
  Stripped stripped_;
};

/// A rule: its step, and how it ended.
Go run_rule(Evaluating& evaluating, const Chain& chain, std::size_t index, Evaluation& out) {
  const Rule& rule = chain.rules[index];
  Step step{chain.name, index, {}, {}, rule.where};
  Go go;
  for (std::size_t i = 0; i < rule.exprs.size() && go.kind == Go::Kind::on; ++i) {
    go = evaluating.expression(chain, index, i);
    if (go.kind == Go::Kind::mismatch) step.mismatch = i;
    if (go.element != nullptr && !go.element->where.file.empty()) step.where = go.element->where;
  }
  if (go.kind == Go::Kind::verdict) step.verdict = go.verdict;
  if (go.kind == Go::Kind::reset) step.verdict = Verdict{VerdictKind::drop, {}};
  out.steps.push_back(std::move(step));
  return go;
}

constexpr std::size_t kJumpsMax = 16;  // NFT_JUMP_STACK_SIZE; the kernel refuses deeper rulesets

/// One base chain and all that it leads to; out.outcome is the answer.
void run_chain(const Ruleset& ruleset, const Chain& base, Evaluating& evaluating, Evaluation& out) {
  const Chain* chain = &base;
  std::size_t next = 0;
  std::vector<std::pair<const Chain*, std::size_t>> back;
  for (;;) {
    Go go;
    while (next < chain->rules.size()) {
      go = run_rule(evaluating, *chain, next++, out);
      if (go.kind != Go::Kind::on && go.kind != Go::Kind::mismatch) break;
    }
    if (go.kind == Go::Kind::unknown) {
      out.outcome = Outcome::unknown;
      out.unknown = go.why;
      return;
    }
    if (go.kind == Go::Kind::reset) return void(out.outcome = Outcome::reset);
    const VerdictKind kind = go.kind == Go::Kind::verdict ? go.verdict.kind : VerdictKind::return_;
    if (kind == VerdictKind::accept) return void(out.outcome = Outcome::accepted);
    if (kind == VerdictKind::drop) return void(out.outcome = Outcome::dropped);
    if (kind == VerdictKind::jump || kind == VerdictKind::go_to) {
      if (kind == VerdictKind::jump) back.emplace_back(chain, next);
      chain = find(ruleset.chains, go.verdict.chain);
      next = 0;
      if (chain != nullptr && back.size() <= kJumpsMax) continue;
      out.outcome = Outcome::unknown;
      out.unknown = "chain " + go.verdict.chain + " is the admin's own";
      return;
    }
    if (back.empty()) break;
    std::tie(chain, next) = back.back();
    back.pop_back();
  }
  out.steps.push_back({base.name, {}, {}, Verdict{base.base->policy, {}}, {}});
  out.outcome = base.base->policy == VerdictKind::accept ? Outcome::accepted : Outcome::dropped;
}

std::vector<const Chain*> base_chains(const Ruleset& ruleset, Hook hook, const Device& device) {
  std::vector<const Chain*> out;
  for (const Chain& chain : ruleset.chains) {
    const bool ours = chain.table == Table::inet && chain.base && chain.base->hook == hook;
    if (ruleset.dormant || !ours) continue;
    const auto& devices = chain.base->devices;
    const bool sees = hook != Hook::ingress ||
                      std::find(devices.begin(), devices.end(), device.name) != devices.end();
    if (sees) out.push_back(&chain);
  }
  std::stable_sort(out.begin(), out.end(), [](const Chain* a, const Chain* b) {
    return a->base->priority < b->base->priority;
  });
  return out;
}

}  // namespace

namespace {

/// net/netfilter/nft_limit.c: nanoseconds in which one token comes back, and in which all do.
std::uint64_t token_ns(const RateLimit& limit) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return static_cast<std::uint64_t>(limit.unit) * kSecond / std::max<std::uint64_t>(limit.count, 1);
}
std::uint64_t full_ns(const RateLimit& limit) {
  constexpr std::uint32_t kBurstDefault = 5;
  return token_ns(limit) * (limit.burst == 0 ? kBurstDefault : limit.burst);
}

}  // namespace

Bucket Bucket::full(const RateLimit& limit, Time now) { return {limit, full_ns(limit), now, true}; }

std::uint64_t Bucket::tokens(Time now) const {
  const auto passed = static_cast<std::uint64_t>(std::max(now - last, Time{0}).count());
  return std::min(filled_ns + passed, full_ns(limit)) / token_ns(limit);
}

bool Bucket::take(Time now) {
  const auto passed = static_cast<std::uint64_t>(std::max(now - last, Time{0}).count());
  filled_ns = std::min(filled_ns + passed, full_ns(limit));
  last = now;
  if (filled_ns == full_ns(limit)) exact = true;
  if (filled_ns < token_ns(limit)) return false;
  filled_ns -= token_ns(limit);
  return true;
}

Bytes source_key(const Key& key, fw::Ip source) {
  if (key.size() != 1 || key.front().field != saddr(source.family)) return {};
  Bytes bytes = fw::to_bytes(source);
  const Bytes& mask = key.front().mask;
  for (std::size_t i = 0; i < std::min(mask.size(), bytes.size()); ++i) bytes[i] &= mask[i];
  return bytes;
}

FlowEnds ends_of(const fw::Packet& p) {
  return {p.source, p.destination, p.source_port, p.destination_port, p.protocol};
}

void forget(State& state, const FlowEnds& flow) {
  for (auto& [set, elements] : state.learned) {
    for (auto& [key, element] : elements) std::erase(element.open, flow);
  }
}

Evaluation evaluate(const Ruleset& ruleset, Hook hook, const Arrival& arrival,
                    const Managed& managed, State& state, Time now) {
  Evaluation out;
  out.outcome = Outcome::accepted;
  out.label = arrival.connection ? arrival.connection->label : Bytes(16);
  Evaluating evaluating(ruleset, arrival, managed, state, now, out);
  for (const Chain* base : base_chains(ruleset, hook, arrival.device)) {
    run_chain(ruleset, *base, evaluating, out);
    if (out.outcome != Outcome::accepted) break;
  }
  // The connection of a first packet that is dropped never is one.
  const bool first = arrival.connection && arrival.connection->state == kStateNew;
  if (first && (out.outcome == Outcome::dropped || out.outcome == Outcome::reset)) {
    forget(state, ends_of(arrival.packet));
  }
  return out;
}

namespace {

/// At ingress, where there is no connection yet, and then at the hook.
Evaluation arrive(const Ruleset& ruleset, Hook hook, const Arrival& arrival, const Managed& managed,
                  State& state, Time now) {
  Arrival early = arrival;
  early.connection.reset();
  Evaluation out = evaluate(ruleset, Hook::ingress, early, managed, state, now);
  if (out.outcome != Outcome::accepted) return out;
  Evaluation rest = evaluate(ruleset, hook, arrival, managed, state, now);
  rest.steps.insert(rest.steps.begin(), out.steps.begin(), out.steps.end());
  return rest;
}

}  // namespace

Beginning begin_connection(const Ruleset& ruleset, Hook hook, Arrival first, const Managed& managed,
                           State& state, Time now) {
  using Packet = Beginning::Packet;
  Beginning out;
  if (!first.connection) first.connection.emplace().original_dport = first.packet.destination_port;
  Connection& c = *first.connection;
  fw::Packet& packet = first.packet;
  const bool tcp = packet.protocol == kTcp;
  c.state = kStateNew;
  if (tcp) packet.tcp_flags = kSyn;
  auto send = [&](Packet which, const Arrival& arrival) {
    out.packets.emplace_back(which, arrive(ruleset, hook, arrival, managed, state, now));
    c.label = out.packets.back().second.label;
    return out.outcome() == Outcome::accepted;
  };
  if (!send(Packet::first, first) || (!tcp && packet.protocol != kUdp)) return out;
  c.state = kStateEstablished;
  if (hook == Hook::forward) {
    Arrival answer = first;
    answer.connection->reply = true;
    answer.device = first.out.value_or(Device{});
    answer.out = first.device;
    answer.route_back.reset();
    std::swap(answer.packet.source, answer.packet.destination);
    std::swap(answer.packet.source_port, answer.packet.destination_port);
    answer.packet.tcp_flags = tcp ? kSyn | kAck : 0;
    if (!send(Packet::answer, answer)) return out;
  }
  if (!tcp) return out;
  constexpr std::uint32_t kAssured = 1u << 2;  // IPS_ASSURED: the handshake is complete
  c.status |= kAssured;
  packet.tcp_flags = kAck;
  send(Packet::second, first);
  return out;
}

Beginning connect_to_host(const Ruleset& ruleset, fw::Ip client, fw::Ip host, std::uint16_t port,
                          const Device& device, const Managed& managed, State& state, Time now) {
  Arrival first;
  first.packet = {client, host, 40'000, port, kTcp, 0, 0, true};
  first.device = device;
  return begin_connection(ruleset, Hook::input, first, managed, state, now);
}

}  // namespace chains
