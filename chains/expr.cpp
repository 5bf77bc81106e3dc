// The table of fields.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/expr.hpp"

#include <array>
#include <cassert>

#include <linux/netfilter/nf_tables.h>

namespace chains {
namespace {

using Load = FieldInfo::Load;
constexpr std::uint32_t kLink = NFT_PAYLOAD_LL_HEADER;
constexpr std::uint32_t kNet = NFT_PAYLOAD_NETWORK_HEADER;
constexpr std::uint32_t kTransport = NFT_PAYLOAD_TRANSPORT_HEADER;

constexpr std::array kFields{
    FieldInfo{Field::nfproto, "meta nfproto", "nf_proto", 2, 1, Load::meta, NFT_META_NFPROTO, 0},
    FieldInfo{Field::l4proto, "meta l4proto", "inet_proto", 12, 1, Load::meta, NFT_META_L4PROTO, 0},
    FieldInfo{Field::iif, "iif", "iface_index", 20, 4, Load::meta, NFT_META_IIF, 0},
    FieldInfo{Field::ip_saddr, "ip saddr", "ipv4_addr", 7, 4, Load::payload, kNet, 12},
    FieldInfo{Field::ip_daddr, "ip daddr", "ipv4_addr", 7, 4, Load::payload, kNet, 16},
    FieldInfo{Field::ip6_saddr, "ip6 saddr", "ipv6_addr", 8, 16, Load::payload, kNet, 8},
    FieldInfo{Field::ip6_daddr, "ip6 daddr", "ipv6_addr", 8, 16, Load::payload, kNet, 24},
    FieldInfo{Field::ip6_hoplimit, "ip6 hoplimit", "integer", 4, 1, Load::payload, kNet, 7},
    FieldInfo{Field::tcp_flags, "tcp flags", "tcp_flag", 15, 1, Load::payload, kTransport, 13},
    FieldInfo{Field::udp_dport, "udp dport", "inet_service", 13, 2, Load::payload, kTransport, 2},
    FieldInfo{Field::th_dport, "th dport", "inet_service", 13, 2, Load::payload, kTransport, 2},
    FieldInfo{Field::icmp_type, "icmp type", "icmp_type", 14, 1, Load::payload, kTransport, 0},
    FieldInfo{Field::icmpv6_type, "icmpv6 type", "icmpv6_type", 29, 1, Load::payload, kTransport,
              0},
    FieldInfo{Field::ct_state, "ct state", "ct_state", 26, 4, Load::ct, NFT_CT_STATE, 0},
    FieldInfo{Field::ct_direction, "ct direction", "ct_dir", 27, 1, Load::ct, NFT_CT_DIRECTION, 0},
    FieldInfo{Field::ct_status, "ct status", "ct_status", 28, 4, Load::ct, NFT_CT_STATUS, 0},
    FieldInfo{Field::ct_mark, "ct mark", "mark", 19, 4, Load::ct, NFT_CT_MARK, 0},
    FieldInfo{Field::ct_original_dport, "ct original proto-dst", "inet_service", 13, 2, Load::ct,
              NFT_CT_PROTO_DST, 0, true},
    FieldInfo{Field::mark, "meta mark", "mark", 19, 4, Load::meta, NFT_META_MARK, 0},
    FieldInfo{Field::iifname, "iifname", "ifname", 41, 16, Load::meta, NFT_META_IIFNAME, 0},
    FieldInfo{Field::route_back, "fib saddr . iif oif", "boolean", 21, 4, Load::fib,
              NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, 0},
    FieldInfo{Field::tcp_fast_open, "tcp option fastopen", "boolean", 21, 1, Load::tcp_option,
              kTcpFastOpen, 0},
    FieldInfo{Field::tcp_experimental, "tcp option 254", "boolean", 21, 1, Load::tcp_option,
              kTcpExperimental, 0},
    FieldInfo{Field::tcp_payload, "@ih,0,8", "integer", 4, 1, Load::payload,
              NFT_PAYLOAD_INNER_HEADER, 0},
    FieldInfo{Field::oif, "oif", "iface_index", 20, 4, Load::meta, NFT_META_OIF, 0},
    FieldInfo{Field::oifname, "oifname", "ifname", 41, 16, Load::meta, NFT_META_OIFNAME, 0},
    FieldInfo{Field::iifkind, "meta iifkind", "ifname", 41, 16, Load::meta, NFT_META_IIFKIND, 0},
    FieldInfo{Field::oifkind, "meta oifkind", "ifname", 41, 16, Load::meta, NFT_META_OIFKIND, 0},
    FieldInfo{Field::ether_type, "ether type", "ether_type", 10, 2, Load::payload, kLink, 12},
    FieldInfo{Field::ether_saddr, "ether saddr", "ether_addr", 9, 6, Load::payload, kLink, 6},
    FieldInfo{Field::ether_daddr, "ether daddr", "ether_addr", 9, 6, Load::payload, kLink, 0},
    FieldInfo{Field::arp_saddr_ip, "arp saddr ip", "ipv4_addr", 7, 4, Load::payload, kNet, 14},
    // nft has a name for it since 1.0.7.
    FieldInfo{Field::nd_target, "@th,64,128", "ipv6_addr", 8, 16, Load::payload, kTransport, 8},
    FieldInfo{Field::th_sport, "th sport", "inet_service", 13, 2, Load::payload, kTransport, 0},
    FieldInfo{Field::ct_label, "ct label", "ct_label", 30, 16, Load::ct, NFT_CT_LABELS, 0},
    FieldInfo{Field::ct_id, "ct id", "integer", 4, 4, Load::ct, NFT_CT_ID, 0},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    if (kFields[i].field != static_cast<Field>(i)) return false;
  }
  return true;
}
static_assert(in_order(), "kFields is indexed by Field");

}  // namespace

const FieldInfo& info(Field field) { return kFields[static_cast<std::size_t>(field)]; }

}  // namespace chains
