// Netlink messages of nf_tables into values.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "chains/netlink/kernel.hpp"
#include "chains/ruleset.hpp"

struct nlmsghdr;

namespace chains {

/// Each reads one dump message; nothing when it is not of our table (or the admin's own).
std::optional<Chain> observe_chain(const nlmsghdr* message);

struct ObservedRule {
  std::string chain;
  Rule rule;
};
std::optional<ObservedRule> observe_rule(const nlmsghdr* message);

struct ObservedSet {
  Set set;
  std::optional<std::uint32_t> fill;
};
std::optional<ObservedSet> observe_set(const nlmsghdr* message);

struct ObservedObject {
  Object object;
  Counted count;
};
std::optional<ObservedObject> observe_object(const nlmsghdr* message);

/// Elements as dumped, an interval as two.
struct RawElement {
  Element element;
  Counted count;
  std::chrono::milliseconds left{0};  ///< until it ends; 0: permanent
  bool interval_end = false;
};
std::vector<RawElement> observe_elements(const nlmsghdr* message);

/// Joins the halves of intervals, sorts by key.
void fill_elements(Set& set, std::vector<Counted>& counts, std::vector<RawElement> raw);

}  // namespace chains
