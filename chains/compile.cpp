// Puts the parts of a ruleset together.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include <fmt/format.h>

#include "chains/compile_parts.hpp"
#include "chains/rule_text.hpp"

namespace chains {

Chain& Compilation::chain(std::string name) {
  out.chains.push_back({std::move(name), {}, {}, false});
  return out.chains.back();
}

Set& Compilation::set(std::string name, std::vector<Field> key, const fw::Location& where) {
  Set set;
  set.name = std::move(name);
  set.key = std::move(key);
  set.where = where;
  out.sets.push_back(std::move(set));
  return out.sets.back();
}

void Compilation::device_set(std::string name, const std::vector<std::string>& names) {
  if (names.empty()) return;
  Set& made = set(std::move(name), {Field::iifname});
  for (const std::string& device : names) {
    made.elements.push_back({build::device_bytes(device), {}, {}, {}, {}});
  }
}

namespace {

std::vector<std::string> names_of(const std::vector<Bridge>& bridges,
                                  const std::function<bool(const Bridge&)>& fits) {
  std::vector<std::string> out;
  for (const Bridge& bridge : bridges) {
    if (fits(bridge)) out.push_back(bridge.name);
  }
  return out;
}

}  // namespace

std::vector<std::string> Compilation::app_bridges() const {
  return names_of(facts.bridges, [this](const Bridge& b) { return is_of_apps(b, policy); });
}

std::vector<std::string> Compilation::container_bridges() const {
  return names_of(facts.bridges, [this](const Bridge& b) { return is_of_containers(b, policy); });
}

std::vector<std::string> Compilation::other_bridges() const {
  return names_of(facts.bridges, [this](const Bridge& b) {
    return !is_of_apps(b, policy) &&
           std::ranges::any_of(policy.app_networks, [&b](const auto& network) {
             return has_address_in(b, network.value);
           });
  });
}

void Compilation::counter(std::string name, const fw::Location& where) {
  out.objects.push_back({std::move(name), {}, {}, where});
}

void Compilation::limit(std::string name, RateLimit rate, const fw::Location& where) {
  out.objects.push_back({std::move(name), rate, {}, where});
}

bool Compilation::has_offenders(const fw::Limit& limit) const {
  if (policy.nflog_group == 0 || limit.from != fw::Source::outside) return false;
  return std::any_of(policy.offenders.begin(), policy.offenders.end(), [&](const auto& offender) {
    const auto& names = offender.limits;
    return offender.refused &&
           (names.empty() || std::find(names.begin(), names.end(), limit.name) != names.end());
  });
}

void Compilation::log(Chain& chain, std::string id, const fw::Location& where,
                      std::vector<Expr> condition, std::string prefix) const {
  if (policy.nflog_group == 0) return;
  condition.push_back(RateLimit{50, Unit::second, 100});
  condition.push_back(Log{static_cast<std::uint16_t>(policy.nflog_group), std::move(prefix)});
  build::rule(chain, std::move(id), where, std::move(condition));
}

std::string manifest_text(const HostFacts& facts, Admission admission) {
  auto text = [](const ListVersion& v) { return v.digest.empty() ? "none" : v.digest; };
  return fmt::format("lists {} {} label {}", text(facts.block_lists), text(facts.allow_lists),
                     admission.first_bit());
}

std::string manifest_text(const SourceList& list) {
  return fmt::format("list {} {}", list.name, list.digest);
}

namespace {

Compilation begin(const fw::Policy& policy, const HostFacts& facts) {
  return {policy,
          facts,
          Admission(policy.label_bit),
          !policy.apps.empty() || !policy.addons.empty(),
          {}};
}

Ruleset finish(Compilation& c) {
  for (Set& set : c.out.sets) build::sort_elements(set);
  return std::move(c.out);
}

}  // namespace

void compile_rules(Compilation& c) {
  Ruleset rules = read_rules(c.policy.rules).rules;
  std::ranges::move(rules.sets, std::back_inserter(c.out.sets));
  std::ranges::move(rules.chains, std::back_inserter(c.out.chains));
}

void admin_rules(const Compilation& c, Chain& chain, const std::string& admin_chain) {
  build::rule(chain, "admin's rules", {}, {build::jump(admin_chain)});
  const std::string of_files = rules_chain(admin_chain);
  if (find(c.out.chains, of_files) == nullptr) return;
  build::rule(chain, "admin's rules, of rules.d", {}, {build::jump(of_files)});
}

Ruleset compile_of_apps(const fw::Policy& policy) {
  const HostFacts nothing;
  Compilation c = begin(policy, nothing);
  limits_of_apps(c);
  addons_of_apps(c);
  return finish(c);
}

Ruleset compile(const fw::Policy& policy, const HostFacts& facts) {
  Compilation c = begin(policy, facts);
  compile_bridges(c);
  compile_rules(c);
  compile_admission(c);
  compile_fast_open(c);
  compile_base(c);
  compile_link(c);
  compile_blocked(c);
  compile_panic(c);
  compile_limits(c);
  compile_openings(c);
  compile_ports(c);
  compile_apps(c);
  compile_bridge(c);
  return finish(c);
}

}  // namespace chains
