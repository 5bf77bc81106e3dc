// Flows in netlink messages.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow.hpp"

#include <cerrno>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "chains/netlink/attributes.hpp"

namespace chains {

using fw::ErrorCode;
using fw::Family;
using fw::Ip;

namespace {

bool is_ending(const nlattr* protocol) {
  bool ending = false;
  for_each_nested(protocol, [&ending](const nlattr* tcp) {
    if (mnl_attr_get_type(tcp) != CTA_PROTOINFO_TCP) return;
    for_each_nested(tcp, [&ending](const nlattr* a) {
      if (mnl_attr_get_type(a) != CTA_PROTOINFO_TCP_STATE) return;
      ending = value_of<std::uint8_t>(a) > TCP_CONNTRACK_ESTABLISHED;
    });
  });
  return ending;
}

void take_address(Family family, const nlattr* a, Ip& out) {
  const auto size = static_cast<std::size_t>(fw::address_bits(family) / 8);
  if (mnl_attr_get_payload_len(a) != size) return;
  out = fw::ip_from_bytes(family, mnl_attr_get_payload(a));
}

/// One direction of a flow.
struct Tuple {
  Ip source;
  Ip destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;
};

Tuple read_tuple(const nlattr* attribute) {
  Tuple tuple;
  for_each_nested(attribute, [&tuple](const nlattr* part) {
    const bool addresses = mnl_attr_get_type(part) == CTA_TUPLE_IP;
    if (!addresses && mnl_attr_get_type(part) != CTA_TUPLE_PROTO) return;
    for_each_nested(part, [&](const nlattr* a) {
      const auto type = mnl_attr_get_type(a);
      if (addresses) {
        if (type == CTA_IP_V4_SRC) take_address(Family::ipv4, a, tuple.source);
        if (type == CTA_IP_V4_DST) take_address(Family::ipv4, a, tuple.destination);
        if (type == CTA_IP_V6_SRC) take_address(Family::ipv6, a, tuple.source);
        if (type == CTA_IP_V6_DST) take_address(Family::ipv6, a, tuple.destination);
      } else {
        if (type == CTA_PROTO_NUM) tuple.protocol = value_of<std::uint8_t>(a);
        if (type == CTA_PROTO_SRC_PORT) tuple.source_port = ntohs(value_of<std::uint16_t>(a));
        if (type == CTA_PROTO_DST_PORT) tuple.destination_port = ntohs(value_of<std::uint16_t>(a));
      }
    });
  });
  return tuple;
}

}  // namespace

bool Flow::answered() const { return (status & IPS_SEEN_REPLY) != 0; }
bool Flow::assured() const { return (status & IPS_ASSURED) != 0; }

Flow read_flow(const nlmsghdr* message) {
  Flow flow;
  for_each_attribute(message, sizeof(nfgenmsg), [&flow](const nlattr* a) {
    switch (mnl_attr_get_type(a)) {
      case CTA_TUPLE_ORIG: {
        const Tuple tuple = read_tuple(a);
        flow.source = tuple.source;
        flow.destination = tuple.destination;
        flow.source_port = tuple.source_port;
        flow.destination_port = tuple.destination_port;
        flow.protocol = tuple.protocol;
        break;
      }
      case CTA_TUPLE_REPLY:
        flow.reply_source = read_tuple(a).source;
        break;
      case CTA_PROTOINFO:
        flow.ending = is_ending(a);
        break;
      case CTA_ID:
        flow.id = ntohl(value_of<std::uint32_t>(a));
        break;
      case CTA_STATUS:
        flow.status = ntohl(value_of<std::uint32_t>(a));
        break;
      case CTA_LABELS: {
        const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(a));
        flow.label.assign(bytes, bytes + mnl_attr_get_payload_len(a));
        break;
      }
      default:
        break;
    }
  });
  return flow;
}

nlmsghdr* put_conntrack_header(char* at, std::uint16_t type, int flags, int family,
                               std::uint32_t sequence) {
  nlmsghdr* header = mnl_nlmsg_put_header(at);
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = sequence;
  auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  nfg->nfgen_family = static_cast<std::uint8_t>(family);
  nfg->version = NFNETLINK_V0;
  nfg->res_id = 0;
  return header;
}

std::unexpected<fw::Error> conntrack_refused(int code) {
  if (code == EPERM) {
    return fw::fail(ErrorCode::permission,
                    "cannot read connection tracking: this needs root or the capability "
                    "CAP_NET_ADMIN (try: sudo)");
  }
  return fw::fail_errno(ErrorCode::unsupported,
                        "cannot read the kernel's connection tracking table "
                        "(CONFIG_NF_CT_NETLINK; try: modprobe nf_conntrack_netlink)",
                        code);
}

}  // namespace chains
