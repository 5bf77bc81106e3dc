// Whether an apply would lock its own caller out.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/lockout.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include "chains/evaluate.hpp"
#include "chains/netlink/devices.hpp"
#include "chains/text.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/membership.hpp"
#include "fw/policy/parse.hpp"

namespace fw {
namespace {

/// The rules as they will be: those of the admin's chains stay.
chains::Ruleset with_admin_rules(chains::Ruleset ruleset, const chains::Ruleset* observed) {
  if (observed == nullptr) return ruleset;
  for (chains::Chain& chain : ruleset.chains) {
    const auto* const held = chain.admin ? chains::find(observed->chains, chain.name) : nullptr;
    if (held != nullptr) chain.rules = held->rules;
  }
  return ruleset;
}

/// Answers the evaluator, and keeps in mind why: the answers are asked for one by one.
class Asked {
 public:
  explicit Asked(Membership membership) : membership_(std::move(membership)) {}

  std::optional<bool> operator()(const chains::Set& set, const chains::Bytes& key) {
    const auto answer = membership_(set, key);
    const auto is_one_of = [&set](const auto& names) {
      return std::ranges::find(names, set.name) != std::end(names);
    };
    blocked = blocked || (answer == true && is_one_of(chains::kBlockSets));
    listed = listed || (answer == true && is_one_of(chains::kListedSets));
    return answer;
  }

  bool blocked = false;  ///< the store's blocks had an address that was asked for
  bool listed = false;   ///< the block lists had one

 private:
  Membership membership_;
};

/// The rule that refused it, or the policy of a chain.
std::string deciding_rule(const chains::Ruleset& ruleset, const chains::Step& step) {
  if (!step.rule) return fmt::format("the default policy of chain {} drops it", step.chain);
  const chains::Rule& rule = chains::find(ruleset.chains, step.chain)->rules[*step.rule];
  const std::string line =
      step.where.file.empty() ? "" : fmt::format(" ({})", to_string(step.where));
  return fmt::format("rule '{}' of chain {}{} refuses it", chains::to_text(rule), step.chain, line);
}

/// By the rule that refused it.
std::string reason(const Policy& policy, const chains::Ruleset& ruleset,
                   const chains::Evaluation& last, const Asked& asked, const Session& session) {
  const auto decided =
      std::find_if(last.steps.rbegin(), last.steps.rend(),
                   [](const chains::Step& step) { return step.verdict.has_value(); });
  const std::string chain = decided == last.steps.rend() ? "CLOUDRON" : decided->chain;
  if (chain == "panic") {
    return "a panic is on, and the session does not come from a trusted network; end it with "
           "'cloudron-fw panic off'";
  }
  if (asked.blocked) {
    return "it is blocked (see 'cloudron-fw blocks'; lift it with 'cloudron-fw unblock')";
  }
  if (asked.listed) return "it is on a block list; remove it there, or add it to [trusted]";
  if (chain != "CLOUDRON") return deciding_rule(ruleset, *decided);
  for (const Opening& opening : policy.openings) {
    if (!opening.opens(Protocol::tcp, session.local_port)) continue;
    return fmt::format(
        "the policy opens that port only {} ({}); add your address or interface to it",
        audience(opening), to_string(opening.where));
  }
  return fmt::format("the policy does not open that port; add {} to [ports] tcp",
                     session.local_port);
}

/// Of this network namespace; nothing if unknown.
std::vector<std::string> interfaces_now() {
  std::vector<std::string> names;
  struct ::if_nameindex* const all = ::if_nameindex();
  if (all == nullptr) return names;
  for (const auto* one = all; one->if_index != 0; ++one) names.emplace_back(one->if_name);
  ::if_freenameindex(all);
  return names;
}

bool fits(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return name == pattern;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

std::optional<std::string> why_locked_out(const Policy& policy, const Target& target,
                                          const chains::Ruleset* observed,
                                          const std::optional<Session>& session, Lists& lists,
                                          Store* store) {
  if (const auto closed = ssh_closed(policy)) return "with this policy " + *closed;
  if (!session) return {};
  Asked asked(Membership(target, lists, store));
  const auto& devices = target.facts.devices;
  const chains::Device other = devices.empty() ? chains::Device{} : devices.front();
  const chains::Device device = chains::device_towards(session->remote).value_or(other);
  chains::State state;
  const chains::Ruleset ruleset = with_admin_rules(target.ruleset, observed);
  const chains::Beginning beginning =
      chains::connect_to_host(ruleset, session->remote, session->local, session->local_port, device,
                              std::ref(asked), state, chains::Time{0});
  const chains::Outcome outcome = beginning.outcome();
  if (outcome != chains::Outcome::dropped && outcome != chains::Outcome::reset) return {};
  return fmt::format("this SSH session, from {} to TCP port {}, could not log in again: {}",
                     to_string(session->remote), session->local_port,
                     reason(policy, ruleset, beginning.packets.back().second, asked, *session));
}

std::vector<Problem> ssh_by_absent_interfaces(const Policy& policy) {
  const std::vector<PortRange> ssh = ssh_ports(policy);
  const auto opens_ssh = [&ssh](const std::vector<PortRange>& ports) {
    return std::ranges::any_of(ports, [&ssh](const PortRange& port) {
      return std::ranges::any_of(ssh, [&port](const PortRange& of) { return of.overlaps(port); });
    });
  };
  std::vector<PortRange> everybody;
  for (const auto& [port, where] : all_open_ports(policy)) everybody.push_back(port);
  if (opens_ssh(everybody)) return {};
  std::vector<std::string> wanted;
  Location where;
  for (const Opening& opening : policy.openings) {
    if (!opens_ssh(opening.ports)) continue;
    if (opening.interfaces.empty()) return {};
    if (wanted.empty()) where = opening.where;
    for (const std::string& name : opening.interfaces) {
      if (std::ranges::find(wanted, name) == wanted.end()) wanted.push_back(name);
    }
  }
  const std::vector<std::string> there = interfaces_now();
  const bool any = std::ranges::any_of(wanted, [&there](const std::string& pattern) {
    return std::ranges::any_of(there, [&](const std::string& name) { return fits(pattern, name); });
  });
  if (wanted.empty() || there.empty() || any) return {};
  for (std::string& name : wanted) name = quote(name);
  return {{Severity::warning,
           fmt::format("there is no interface {} now; SSH is open only on {}",
                       fmt::join(wanted, " or "), wanted.size() == 1 ? "it" : "them"),
           where}};
}

}  // namespace fw
