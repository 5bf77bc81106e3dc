// Ethernet frames by hand.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/frames.hpp"

namespace lab {
namespace {

void append16(std::string& out, std::uint32_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

void put(std::string& out, const Mac& mac) { out.append(mac.begin(), mac.end()); }
void put(std::string& out, Ip ip) {
  for (const std::uint8_t byte : to_bytes(ip)) out += static_cast<char>(byte);
}

std::uint16_t sum_of(const std::string& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(data[i]);
    sum += i % 2 == 0 ? std::uint32_t{byte} << 8 : byte;
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// An IPv6 packet of an ICMP message, which has no checksum yet.
std::string icmp6(Ip from, Ip to, std::string message) {
  std::string pseudo;
  put(pseudo, from);
  put(pseudo, to);
  append16(pseudo, 0);
  append16(pseudo, static_cast<std::uint32_t>(message.size()));
  append16(pseudo, 0);
  append16(pseudo, kIcmp6);
  const std::uint16_t sum = sum_of(pseudo + message);
  message[2] = static_cast<char>(sum >> 8);
  message[3] = static_cast<char>(sum);
  std::string out;
  append16(out, 6u << 12);
  append16(out, 0);
  append16(out, static_cast<std::uint32_t>(message.size()));
  append16(out, std::uint32_t{kIcmp6} << 8 | 255);
  put(out, from);
  put(out, to);
  return out + message;
}

std::string message_begin(std::uint8_t type) {
  std::string out;
  append16(out, std::uint32_t{type} << 8);
  append16(out, 0);
  return out;
}

void put_link_address(std::string& out, std::uint8_t option, const Mac& mac) {
  append16(out, std::uint32_t{option} << 8 | 1);
  put(out, mac);
}

}  // namespace

std::string ethernet(const Mac& from, const Mac& to, std::uint16_t type,
                     const std::string& payload) {
  std::string out;
  put(out, to);
  put(out, from);
  append16(out, type);
  return out + payload;
}

std::string ethernet(const Mac& from, const Mac& to, const Packet& packet) {
  return ethernet(from, to, packet.from.family == Family::ipv4 ? kIpv4 : kIpv6, ip_packet(packet));
}

std::string tag(std::uint16_t vlan, std::uint16_t type) {
  std::string out;
  append16(out, vlan);
  append16(out, type);
  return out;
}

Mac group_mac(Ip group) {
  const auto low = static_cast<std::uint32_t>(group.bits);
  const auto byte = [low](int shift) { return static_cast<std::uint8_t>(low >> shift); };
  if (group.family == Family::ipv6) return {0x33, 0x33, byte(24), byte(16), byte(8), byte(0)};
  if (low >> 28 != 0xe) return kEveryone;
  return {1, 0, 0x5e, static_cast<std::uint8_t>(byte(16) & 0x7f), byte(8), byte(0)};
}

std::string arp(Arp what, const Mac& sender_mac, Ip sender, Ip target) {
  std::string out;
  append16(out, 1);
  append16(out, kIpv4);
  append16(out, 6u << 8 | 4);
  append16(out, static_cast<std::uint16_t>(what));
  put(out, sender_mac);
  put(out, sender);
  put(out, Mac{});
  put(out, target);
  return out;
}

std::string solicitation(const Mac& mac, Ip from, Ip to, Ip target) {
  std::string message = message_begin(135);
  append16(message, 0);
  append16(message, 0);
  put(message, target);
  put_link_address(message, 1, mac);
  return icmp6(from, to, message);
}

std::string advertisement(const Mac& mac, Ip from, Ip to, Ip target) {
  std::string message = message_begin(136);
  append16(message, 0x2000);  // override what is known
  append16(message, 0);
  put(message, target);
  put_link_address(message, 2, mac);
  return icmp6(from, to, message);
}

std::string router_advertisement(const Mac& mac, Ip from, Ip to) {
  std::string message = message_begin(134);
  append16(message, 64u << 8 | 8);  // hop limit; of high preference
  append16(message, 1800);
  append16(message, 0);
  append16(message, 0);
  append16(message, 0);
  append16(message, 0);
  put_link_address(message, 1, mac);
  return icmp6(from, to, message);
}

std::string redirect(Ip from, Ip to, Ip target, Ip destination) {
  std::string message = message_begin(137);
  append16(message, 0);
  append16(message, 0);
  put(message, target);
  put(message, destination);
  return icmp6(from, to, message);
}

Ip link_local(const Mac& mac) {
  fw::U128 low = 0;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    low = low << 8 | (i == 0 ? mac[i] ^ 2u : mac[i]);
    if (i == 2) low = low << 16 | 0xfffe;
  }
  return {Family::ipv6, fw::U128{0xfe80} << 112 | low};
}

}  // namespace lab
