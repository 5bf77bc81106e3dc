// Short words for building rules.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/build.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace chains::build {

Bytes u8(std::uint8_t value) { return {value}; }

Bytes u16(std::uint16_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value & 0xff)};
}

Bytes u32(std::uint32_t value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

Bytes ip_bytes(fw::Ip ip) { return fw::to_bytes(ip); }

Bytes device_bytes(const std::string& name) {
  Bytes bytes(name.begin(), name.end());
  bytes.resize(16);
  return bytes;
}

Bytes prefix_mask(fw::Family family, int length) {
  if (length >= fw::address_bits(family)) return {};
  const fw::U128 all = fw::address_max(family);
  const int host_bits = fw::address_bits(family) - length;
  const fw::U128 host = (fw::U128{1} << host_bits) - 1;
  return fw::to_bytes(fw::Ip{family, all & ~host});
}

Bytes interface_bytes(const std::string& name) {
  if (!name.ends_with('*')) return device_bytes(name);
  return Bytes(name.begin(), std::prev(name.end()));
}

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) {
    out.insert(out.end(), part.begin(), part.end());
    out.resize((out.size() + 3) / 4 * 4);
  }
  return out;
}

Expr match(Field field, Bytes value) {
  return Match{{field, {}}, Compare::equal, std::move(value)};
}
Expr match_masked(Field field, Bytes mask, Bytes value, Compare op) {
  return Match{{field, std::move(mask)}, op, std::move(value)};
}
Expr is_family(fw::Family family) {
  return match(Field::nfproto, u8(family == fw::Family::ipv4 ? 2 : 10));  // NFPROTO_IPV4, _IPV6
}
Expr is_protocol(fw::Protocol protocol) {
  return match(Field::l4proto, u8(static_cast<std::uint8_t>(protocol)));
}
Expr in_state(std::uint32_t state) {
  return match_masked(Field::ct_state, u32(state), u32(0), Compare::not_equal);
}
bool is_network(const fw::IpRange& range) {
  const fw::U128 host = range.first ^ range.last;
  return (host & (host + 1)) == 0 && (range.first & host) == 0;
}
Expr in_network(Field field, const fw::IpRange& network) {
  const fw::U128 mask = fw::address_max(network.family) & ~(network.first ^ network.last);
  Bytes bytes = fw::to_bytes(fw::Ip{network.family, mask});
  if (network.single()) bytes.clear();
  return Match{
      {field, std::move(bytes)}, Compare::equal, ip_bytes({network.family, network.first})};
}
Expr in_set(Field field, std::string set) { return in_set(Key{{field, {}}}, std::move(set)); }
Expr in_set(Key key, std::string set) {
  return Lookup{std::move(key), std::move(set), false, false};
}
Expr not_in_set(Key key, std::string set) {
  return Lookup{std::move(key), std::move(set), true, false};
}
Expr vmap(Key key, std::string map) { return Lookup{std::move(key), std::move(map), false, true}; }
Expr count(std::string counter) { return ObjectRef{ObjectKind::counter, std::move(counter)}; }
Expr use_limit(std::string limit) { return ObjectRef{ObjectKind::limit, std::move(limit)}; }
Expr accept() { return Verdict{VerdictKind::accept, {}}; }
Expr drop() { return Verdict{VerdictKind::drop, {}}; }
Expr go(std::string chain) { return Verdict{VerdictKind::go_to, std::move(chain)}; }
Expr jump(std::string chain) { return Verdict{VerdictKind::jump, std::move(chain)}; }
Expr ret() { return Verdict{VerdictKind::return_, {}}; }

void rule(Chain& chain, std::string id, const fw::Location& where, std::vector<Expr> exprs) {
  chain.rules.push_back({std::move(id), where, std::move(exprs)});
}

void sort_elements(Set& set) {
  std::sort(set.elements.begin(), set.elements.end(),
            [](const Element& a, const Element& b) { return a.key < b.key; });
}

}  // namespace chains::build
