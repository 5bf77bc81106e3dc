// The sockets of this network namespace.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/tcp_sockets.hpp"

#include <array>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace fw {
namespace {

template <class T>
bool parse_hex(std::string_view text, T& out) {
  return std::from_chars(text.data(), text.data() + text.size(), out, 16).ec == std::errc{};
}

/// "0100007F:0016": words of the address in host order, then the port.
bool parse_end(std::string_view text, Ip& ip, std::uint16_t& port) {
  const auto colon = text.find(':');
  if (colon != 8 && colon != 32) return false;
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / 8; ++i) {
    if (!parse_hex(text.substr(i * 8, 8), words[i])) return false;
  }
  ip = ip_from_bytes(colon == 8 ? Family::ipv4 : Family::ipv6, words.data());
  constexpr U128 kMapped = U128{0xffff} << 32;
  if (ip.family == Family::ipv6 && ip.bits >> 32 == kMapped >> 32) {
    ip = {Family::ipv4, ip.bits & 0xffffffff};
  }
  return parse_hex(text.substr(colon + 1), port);
}

void read_sockets(const char* path, const std::function<bool(const TcpSocket&)>& visit) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // the heading
  std::string index;
  std::string local;
  std::string remote;
  std::string state;
  std::string skipped;  // queues, timer, retransmissions, user, probes
  for (TcpSocket socket; file >> index >> local >> remote >> state;) {
    for (int i = 0; i < 5; ++i) file >> skipped;
    file >> socket.inode;
    std::getline(file, line);
    chains::OpenConnection& ends = socket.ends;
    std::uint8_t number = 0;
    if (!parse_end(local, ends.local, ends.local_port) ||
        !parse_end(remote, ends.remote, ends.remote_port) || !parse_hex(state, number)) {
      continue;
    }
    socket.state = static_cast<TcpState>(number);
    if (!visit(socket)) return;
  }
}

}  // namespace

void read_tcp_sockets(Family family, const std::function<bool(const TcpSocket&)>& visit) {
  read_sockets(family == Family::ipv4 ? "/proc/self/net/tcp" : "/proc/self/net/tcp6", visit);
}

void read_udp_sockets(Family family, const std::function<bool(const TcpSocket&)>& visit) {
  read_sockets(family == Family::ipv4 ? "/proc/self/net/udp" : "/proc/self/net/udp6", visit);
}

}  // namespace fw
