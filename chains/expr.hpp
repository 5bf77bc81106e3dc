// What a rule can say: one small struct for each kernel expression, with registers left out.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace chains {

using Bytes = std::vector<std::uint8_t>;  ///< a value as it stands in a register

/// What can be loaded from a packet or its connection.
enum class Field : std::uint8_t {
  nfproto,
  l4proto,
  iif,
  ip_saddr,
  ip_daddr,
  ip6_saddr,
  ip6_daddr,
  ip6_hoplimit,
  tcp_flags,
  udp_dport,
  th_dport,
  icmp_type,
  icmpv6_type,
  ct_state,
  ct_direction,
  ct_status,
  ct_mark,
  ct_original_dport,  ///< destination port of the connection's first packet, before any DNAT
  mark,               ///< never matched; the key type of the manifest set
  iifname,
  route_back,  ///< 1 when the route to the source leaves by the device that the packet came in by
  tcp_fast_open,     ///< 1 when TCP has the option of Fast Open (kind 34), else 0
  tcp_experimental,  ///< the same of the experimental option (kind 254)
  tcp_payload,       ///< the first byte behind TCP's header; nothing to load when there is none
  oif,
  oifname,
  iifkind,  ///< "bridge", "veth", ...
  oifkind,
  ether_type,  ///< of the outermost tag, if there is one
  ether_saddr,
  ether_daddr,
  arp_saddr_ip,  ///< of IPv4 over Ethernet
  nd_target,     ///< of a neighbour solicitation or advertisement
  th_sport,
  ct_label,  ///< 128 bits, the first in the first byte's lowest
  ct_id,     ///< the kernel's name of the entry, as ctnetlink tells it; never compared with values
};
inline constexpr Field kLastField = Field::ct_id;

/// A field, or the part of it that a mask leaves. An empty mask means all of it.
struct KeyPart {
  Field field{};
  Bytes mask;

  bool operator==(const KeyPart&) const = default;
};
using Key = std::vector<KeyPart>;

enum class Unit : std::uint32_t {
  second = 1,
  minute = 60,
  hour = 3600,
  day = 86'400,
  week = 604'800
};

/// A token bucket of `burst` packets that refills `count` in every `unit`. The kernel takes any
/// integer for a unit; these are the ones that every tool can print.
struct RateLimit {
  std::uint64_t count = 0;
  Unit unit = Unit::second;
  std::uint32_t burst = 0;

  bool operator==(const RateLimit&) const = default;
};

/// True when the key has more than `count` connections open.
struct ConnLimit {
  std::uint32_t count = 0;

  bool operator==(const ConnLimit&) const = default;
};

enum class Compare : std::uint8_t { equal, not_equal };

struct Match {
  KeyPart what;
  Compare op = Compare::equal;
  Bytes value;

  bool operator==(const Match&) const = default;
};

struct Lookup {
  Key key;
  std::string set;
  bool inverted = false;
  bool verdict = false;  ///< a verdict map: the element decides

  bool operator==(const Lookup&) const = default;
};

enum class DynOp : std::uint8_t { add, update, remove };

/// Adds the key to a set (update: and restarts its timeout), then evaluates the element's own
/// state. Does not match when that state says no, or when the set is full. Or removes the key,
/// which always matches.
struct DynSet {
  DynOp op = DynOp::add;
  Key key;
  std::string set;
  std::variant<std::monostate, RateLimit, ConnLimit> state;

  bool operator==(const DynSet&) const = default;
};

enum class ObjectKind : std::uint32_t { counter = 1, limit = 4 };

/// A named counter or limit. A limit that is used up does not match.
struct ObjectRef {
  ObjectKind kind{};
  std::string name;

  bool operator==(const ObjectRef&) const = default;
};

/// The object that a map holds for the key. Does not match when there is none.
struct ObjectMap {
  ObjectKind kind{};
  Key key;
  std::string map;

  bool operator==(const ObjectMap&) const = default;
};

/// Sets bits of the connection label and leaves the others alone. An entry that is older than every
/// rule that does so has no room for them, and stays as it is: the rule goes on.
struct CtLabelSet {
  Bytes bits;

  bool operator==(const CtLabelSet&) const = default;
};

/// A copy of the packet to an nflog group, with a word to tell why.
struct Log {
  std::uint16_t group = 0;
  std::string prefix;

  bool operator==(const Log&) const = default;
};

/// Takes the first TCP option of that kind off the packet, if there is one. Always matches.
struct StripTcpOption {
  std::uint8_t kind = 0;

  bool operator==(const StripTcpOption&) const = default;
};

/// A line in the kernel's log.
struct KernelLog {
  std::string prefix;
  std::uint32_t level = 4;  ///< as syslog counts them: warn

  bool operator==(const KernelLog&) const = default;
};

/// The rule's own count of packets; how many it counted is no part of the value.
struct Count {
  bool operator==(const Count&) const = default;
};

/// Dropped, and the sender learns that the port is unreachable.
struct Reject {
  bool operator==(const Reject&) const = default;
};

struct RejectTcpReset {
  bool operator==(const RejectTcpReset&) const = default;
};

enum class VerdictKind : std::int32_t { drop = 0, accept = 1, jump = -3, go_to = -4, return_ = -5 };

struct Verdict {
  VerdictKind kind = VerdictKind::drop;
  std::string chain;  ///< of a jump or goto

  bool operator==(const Verdict&) const = default;
};

/// Something in the kernel that is none of the above (never compiled, only observed).
struct Foreign {
  std::string text;

  bool operator==(const Foreign&) const = default;
};

using Expr =
    std::variant<Match, Lookup, DynSet, RateLimit, ObjectRef, ObjectMap, CtLabelSet, Log,
                 StripTcpOption, RejectTcpReset, KernelLog, Count, Reject, Verdict, Foreign>;

/// How a field is loaded and printed; sources: linux/netfilter/nf_tables.h and nftables'
/// datatype.h.
struct FieldInfo {
  enum class Load : std::uint8_t { meta, payload, ct, fib, tcp_option };
  Field field;
  const char* text;       ///< nft's name
  const char* type_text;  ///< nft's set key type
  std::uint32_t type_id;  ///< nft's number of that type, 6 bits
  std::uint32_t length;   ///< bytes
  Load load;
  std::uint32_t key;      ///< meta or ct key, payload base, fib flags, or option's kind
  std::uint32_t offset;   ///< payload offset
  bool original = false;  ///< ct: of the original direction
};

/// TCP options that can carry data past the handshake: RFC 7413, and the experiment before it.
inline constexpr std::uint8_t kTcpFastOpen = 34, kTcpExperimental = 254;

const FieldInfo& info(Field field);

}  // namespace chains
