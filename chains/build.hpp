// Short words for building rules; used by the compile_*.cpp files only.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "chains/ruleset.hpp"
#include "fw/base/address.hpp"
#include "fw/base/packet.hpp"
#include "fw/base/port.hpp"

namespace chains::build {

inline constexpr std::uint32_t kStateInvalid = 1;
inline constexpr std::uint32_t kStateEstablished = 2;
inline constexpr std::uint32_t kStateRelated = 4;
inline constexpr std::uint32_t kStateNew = 8;
inline constexpr std::uint32_t kStateUntracked = 64;

using fw::kAck;
using fw::kFin;
using fw::kRst;
using fw::kSyn;

Bytes u8(std::uint8_t value);
Bytes u16(std::uint16_t value);  ///< network order
Bytes u32(std::uint32_t value);  ///< host order
Bytes ip_bytes(fw::Ip ip);
/// Of a device's name, or its kind: 16 bytes, zeros behind it.
Bytes device_bytes(const std::string& name);
/// The mask of a prefix length; empty when it keeps every bit.
Bytes prefix_mask(fw::Family family, int length);
/// An interface's name as it is compared: the whole of it, or what stands before a `*`.
Bytes interface_bytes(const std::string& name);
/// Concatenation for set keys: every part padded to 4 bytes.
Bytes concat(std::initializer_list<Bytes> parts);

Expr match(Field field, Bytes value);
Expr match_masked(Field field, Bytes mask, Bytes value, Compare op = Compare::equal);
Expr is_family(fw::Family family);
Expr is_protocol(fw::Protocol protocol);
Expr in_state(std::uint32_t state);
/// The range must be a network (is_network).
Expr in_network(Field field, const fw::IpRange& network);
bool is_network(const fw::IpRange& range);
Expr in_set(Field field, std::string set);
Expr not_in_set(Key key, std::string set);
Expr in_set(Key key, std::string set);
Expr vmap(Key key, std::string map);
Expr count(std::string counter);  ///< a named counter
Expr use_limit(std::string limit);
Expr accept();
Expr drop();
Expr go(std::string chain);
Expr jump(std::string chain);
Expr ret();

constexpr Field saddr(fw::Family family) {
  return family == fw::Family::ipv4 ? Field::ip_saddr : Field::ip6_saddr;
}
constexpr Field daddr(fw::Family family) {
  return family == fw::Family::ipv4 ? Field::ip_daddr : Field::ip6_daddr;
}
constexpr char digit(fw::Family family) { return family == fw::Family::ipv4 ? '4' : '6'; }
inline constexpr fw::Family kFamilies[] = {fw::Family::ipv4, fw::Family::ipv6};
inline constexpr fw::Protocol kProtocols[] = {fw::Protocol::tcp, fw::Protocol::udp};

inline constexpr fw::IpRange kLinkLocal{fw::Family::ipv6, fw::U128{0xfe80} << 112,
                                        (fw::U128{0xfec0} << 112) - 1};
inline constexpr fw::IpRange kMulticast4{fw::Family::ipv4, 0xe0000000u, 0xefffffffu};
inline constexpr fw::IpRange kMulticast6{fw::Family::ipv6, fw::U128{0xff00} << 112, ~fw::U128{0}};

/// Appends a rule; `id` becomes its comment.
void rule(Chain& chain, std::string id, const fw::Location& where, std::vector<Expr> exprs);

void sort_elements(Set& set);

}  // namespace chains::build
