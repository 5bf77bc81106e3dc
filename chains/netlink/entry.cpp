// Entries of the connection tracking table, by libnetfilter_conntrack.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/entry.hpp"

#include <new>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace chains {

using fw::Family;
using fw::Ip;

namespace {

constexpr std::uint32_t kEstablishedSeconds = 5 * 24 * 3600;  // the kernel's own default

EntryHandle new_entry() {
  EntryHandle entry(nfct_new());
  if (!entry) throw std::bad_alloc();
  return entry;
}

/// Bit n of a label is bit n % 8 of its byte n / 8. The entry takes the mask over.
void set_bits(nf_conntrack& entry, nf_conntrack_attr attribute, const Bytes& bytes) {
  const auto bits = static_cast<unsigned>(bytes.size() * 8);
  nfct_bitmask* const mask = nfct_bitmask_new(bits - 1);
  if (mask == nullptr) throw std::bad_alloc();
  for (unsigned bit = 0; bit < bits; ++bit) {
    if ((bytes[bit / 8] >> bit % 8 & 1) != 0) nfct_bitmask_set_bit(mask, bit);
  }
  nfct_set_attr(&entry, attribute, mask);
}

/// The attributes of one direction.
struct Direction {
  nf_conntrack_attr l3, l4, source_v4, source_v6, source_port, destination_v4, destination_v6,
      destination_port;
};
constexpr Direction kOriginal{ATTR_ORIG_L3PROTO,  ATTR_ORIG_L4PROTO,  ATTR_ORIG_IPV4_SRC,
                              ATTR_ORIG_IPV6_SRC, ATTR_ORIG_PORT_SRC, ATTR_ORIG_IPV4_DST,
                              ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_DST};
constexpr Direction kReply{ATTR_REPL_L3PROTO,  ATTR_REPL_L4PROTO,  ATTR_REPL_IPV4_SRC,
                           ATTR_REPL_IPV6_SRC, ATTR_REPL_PORT_SRC, ATTR_REPL_IPV4_DST,
                           ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_DST};

void set_tcp(nf_conntrack& entry, const Direction& direction, Ip from, std::uint16_t from_port,
             Ip to, std::uint16_t to_port) {
  const bool v4 = from.family == Family::ipv4;
  nfct_set_attr_u8(&entry, direction.l3, v4 ? AF_INET : AF_INET6);
  nfct_set_attr_u8(&entry, direction.l4, IPPROTO_TCP);
  nfct_set_attr(&entry, v4 ? direction.source_v4 : direction.source_v6, fw::to_bytes(from).data());
  nfct_set_attr(&entry, v4 ? direction.destination_v4 : direction.destination_v6,
                fw::to_bytes(to).data());
  nfct_set_attr_u16(&entry, direction.source_port, htons(from_port));
  nfct_set_attr_u16(&entry, direction.destination_port, htons(to_port));
}

}  // namespace

EntryHandle read_entry(const nlmsghdr* message) {
  EntryHandle entry = new_entry();
  if (nfct_nlmsg_parse(message, entry.get()) < 0) entry.reset();
  return entry;
}

EntryHandle identity_of(const nf_conntrack& entry) {
  EntryHandle identity = new_entry();
  nfct_copy(identity.get(), &entry, NFCT_CP_ORIG);
  // A zone is of both directions, or of one.
  for (const nf_conntrack_attr zone : {ATTR_ZONE, ATTR_ORIG_ZONE}) {
    if (nfct_attr_is_set(&entry, zone) > 0) nfct_copy_attr(identity.get(), &entry, zone);
  }
  return identity;
}

EntryHandle tcp_entry(const OpenConnection& c) {
  EntryHandle entry = new_entry();
  set_tcp(*entry, kOriginal, c.remote, c.remote_port, c.local, c.local_port);
  return entry;
}

EntryHandle established_entry(const OpenConnection& c, const Bytes& label) {
  EntryHandle entry = tcp_entry(c);
  set_tcp(*entry, kReply, c.local, c.local_port, c.remote, c.remote_port);
  nfct_set_attr_u32(entry.get(), ATTR_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
  nfct_set_attr_u32(entry.get(), ATTR_TIMEOUT, kEstablishedSeconds);
  nfct_set_attr_u8(entry.get(), ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
  for (const nf_conntrack_attr flags :
       {ATTR_TCP_FLAGS_ORIG, ATTR_TCP_MASK_ORIG, ATTR_TCP_FLAGS_REPL, ATTR_TCP_MASK_REPL}) {
    nfct_set_attr_u8(entry.get(), flags, IP_CT_TCP_FLAG_BE_LIBERAL);
  }
  set_bits(*entry, ATTR_CONNLABELS, label);
  return entry;
}

void set_label_cleared(nf_conntrack& entry, const Bytes& bits) {
  set_bits(entry, ATTR_CONNLABELS, Bytes(bits.size()));
  set_bits(entry, ATTR_CONNLABELS_MASK, bits);
}

nlmsghdr* put_entry(char* at, std::uint16_t type, int flags, const nf_conntrack& entry,
                    std::uint32_t sequence) {
  const int family = nfct_get_attr_u8(&entry, ATTR_ORIG_L3PROTO);
  nlmsghdr* const header = put_conntrack_header(at, type, flags, family, sequence);
  nfct_nlmsg_build(header, &entry);
  return header;
}

void append_entry_id(nlmsghdr* header, std::uint32_t id) {
  mnl_attr_put_u32(header, CTA_ID, htonl(id));
}

}  // namespace chains
