// Rules that set connection labels: nft's "ct label set", and iptables' "connlabel --set".
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/label_writers.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_connlabel.h>

#include "chains/netlink/handles.hpp"
#include "chains/ruleset.hpp"

namespace chains {
namespace {

const char* family_name(std::uint32_t family) {
  switch (family) {
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_INET:
      return "inet";
    case NFPROTO_BRIDGE:
      return "bridge";
    case NFPROTO_ARP:
      return "arp";
    case NFPROTO_NETDEV:
      return "netdev";
  }
  return "?";
}

/// What one rule sets, expression by expression.
struct Search {
  const Bytes& bits;
  Bytes value;  ///< of the last immediate; empty: what is set is not known
  bool found = false;

  bool touches(const Bytes& set) const {
    if (set.empty()) return true;
    for (std::size_t i = 0; i < std::min(set.size(), bits.size()); ++i) {
      if ((set[i] & bits[i]) != 0) return true;
    }
    return false;
  }
  void ct(nftnl_expr* expr) {
    if (!nftnl_expr_is_set(expr, NFTNL_EXPR_CT_SREG)) return;
    if (nftnl_expr_get_u32(expr, NFTNL_EXPR_CT_KEY) != NFT_CT_LABELS) return;
    found = found || touches(value);
  }
  void match(nftnl_expr* expr) {
    const char* const name = nftnl_expr_get_str(expr, NFTNL_EXPR_MT_NAME);
    std::uint32_t length = 0;
    const void* const data = nftnl_expr_get(expr, NFTNL_EXPR_MT_INFO, &length);
    xt_connlabel_mtinfo info{};
    if (name == nullptr || std::strcmp(name, "connlabel") != 0 || length < sizeof info) return;
    std::memcpy(&info, data, sizeof info);
    if ((info.options & XT_CONNLABEL_OP_SET) == 0 || info.bit / 8u >= bits.size()) return;
    found = found || (bits[info.bit / 8u] >> info.bit % 8u & 1) != 0;
  }
  void take(nftnl_expr* expr) {
    const std::string_view name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
    if (name == "ct") return ct(expr);
    if (name == "match") return match(expr);
    value.clear();
    if (name != "immediate") return;
    std::uint32_t length = 0;
    const auto* data =
        static_cast<const std::uint8_t*>(nftnl_expr_get(expr, NFTNL_EXPR_IMM_DATA, &length));
    if (data != nullptr) value.assign(data, data + length);
  }
};

}  // namespace

std::optional<std::string> label_writer(const nlmsghdr* message, const Bytes& bits) {
  const RuleHandle handle(nftnl_rule_alloc());
  nftnl_rule* const rule = handle.get();
  if (nftnl_rule_nlmsg_parse(message, rule) < 0) return {};
  const std::uint32_t family = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY);
  const char* const table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE);
  const char* const chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
  if (table == nullptr || chain == nullptr) return {};
  if (family == NFPROTO_INET && std::strcmp(table, kTable) == 0) return {};
  Search search{bits, {}, false};
  nftnl_expr_foreach(
      rule,
      [](nftnl_expr* expr, void* data) {
        static_cast<Search*>(data)->take(expr);
        return 0;
      },
      &search);
  if (!search.found) return {};
  return fmt::format("table {} {}, chain {}", family_name(family), table, chain);
}

}  // namespace chains
