// The families of our tables, as netlink numbers them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include <linux/netfilter.h>

#include "chains/ruleset.hpp"

namespace chains {

constexpr std::uint8_t family_of(Table table) {
  return table == Table::bridge ? NFPROTO_BRIDGE : NFPROTO_INET;
}

constexpr Table table_of(std::uint8_t family) {
  return family == NFPROTO_BRIDGE ? Table::bridge : Table::inet;
}

}  // namespace chains
