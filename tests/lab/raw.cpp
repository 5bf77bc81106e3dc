// Packets by hand.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/raw.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/lab/frames.hpp"
#include "tests/lab/nft.hpp"
#include "tests/lab/process.hpp"

namespace lab {
namespace {

constexpr std::size_t kLastPort = 29'999;  // of Handshakes: below the kernel's ephemeral ports
constexpr std::size_t kBatch = 256;
constexpr std::size_t kEthernet = 14;

void put16(std::string& out, std::uint32_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

void put32(std::string& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

void put_ip(std::string& out, Ip ip) {
  for (const std::uint8_t byte : to_bytes(ip)) out += static_cast<char>(byte);
}

std::uint32_t get16(const char* at) {
  return static_cast<std::uint32_t>(static_cast<std::uint8_t>(at[0])) << 8 |
         static_cast<std::uint8_t>(at[1]);
}

std::uint32_t get32(const char* at) { return get16(at) << 16 | get16(at + 2); }

/// The Internet checksum (RFC 1071).
std::uint16_t checksum(const std::string& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2) sum += get16(data.data() + i);
  if (data.size() % 2 == 1) sum += static_cast<std::uint32_t>(data.back()) << 8 & 0xff00;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void set16(std::string& data, std::size_t at, std::uint16_t value) {
  data[at] = static_cast<char>(value >> 8);
  data[at + 1] = static_cast<char>(value);
}

/// The transport header with its checksum.
std::string transport(const Packet& p) {
  std::string data;
  std::size_t checksum_at = 0;
  if (p.protocol == kTcp) {
    put16(data, p.port_from);
    put16(data, p.port_to);
    put32(data, p.sequence);
    put32(data, p.acknowledged);
    put16(data, (5u + static_cast<unsigned>(p.options.size()) / 4) << 12 | p.flags);
    put16(data, 65'535);
    put32(data, 0);
    data += p.options + p.data;
    checksum_at = 16;
  } else if (p.protocol == kUdp) {
    put16(data, p.port_from);
    put16(data, p.port_to);
    put16(data, 12);
    put16(data, 0);
    data += "lab.";
    checksum_at = 6;
  } else {
    put16(data, p.port_to << 8);
    put16(data, 0);
    put16(data, p.port_from);
    put16(data, p.sequence & 0xffff);
    checksum_at = 2;
  }
  std::string summed;
  if (p.protocol != kIcmp) {  // the pseudo header
    put_ip(summed, p.from);
    put_ip(summed, p.to);
    put32(summed, static_cast<std::uint32_t>(data.size()));
    put32(summed, p.protocol);
  }
  set16(data, checksum_at, checksum(summed + data));
  return data;
}

}  // namespace

std::string ip_packet(const Packet& p) {
  const std::string payload = transport(p);
  std::string ip;
  if (p.from.family == Family::ipv4) {
    const auto header = static_cast<unsigned>(20 + p.ip_options.size());
    put16(ip, 0x4000 | header / 4 << 8);
    put16(ip, static_cast<std::uint32_t>(header + payload.size()));
    put32(ip, 0x4000);  // do not fragment
    put16(ip, 64u << 8 | p.protocol);
    put16(ip, 0);
  } else {
    put32(ip, 6u << 28);
    put16(ip, static_cast<std::uint32_t>(payload.size()));
    put16(ip, static_cast<std::uint32_t>(p.protocol) << 8 | 64);
  }
  put_ip(ip, p.from);
  put_ip(ip, p.to);
  ip += p.ip_options;
  if (p.from.family == Family::ipv4) set16(ip, 10, checksum(ip));
  return ip + payload;
}

namespace {

Mac mac_of_group(Ip group) {
  const auto low = static_cast<std::uint32_t>(group.bits);
  const auto byte = [low](int shift) { return static_cast<std::uint8_t>(low >> shift); };
  if (group.family == Family::ipv6) return {0x33, 0x33, byte(24), byte(16), byte(8), byte(0)};
  return {1, 0, 0x5e, static_cast<std::uint8_t>(byte(16) & 0x7f), byte(8), byte(0)};
}

bool is_group(Ip ip) {
  return ip.family == Family::ipv4 ? (ip.bits >> 28) == 0xe : (ip.bits >> 120) == 0xff;
}

/// False for what is not TCP, UDP, IGMP or ICMP, and for fragments.
bool parse(const char* data, std::size_t size, Packet& p) {
  if (size < kEthernet + 20) return false;
  const std::uint32_t type = get16(data + 12);
  const char* const ip = data + kEthernet;
  const bool v4 = type == ETH_P_IP;
  if (!v4 && (type != ETH_P_IPV6 || size < kEthernet + 40)) return false;
  std::size_t header = v4 ? static_cast<std::size_t>(ip[0] & 15) * 4 : 40;
  const Family family = v4 ? Family::ipv4 : Family::ipv6;
  p.protocol = static_cast<std::uint8_t>(v4 ? ip[9] : ip[6]);
  p.from = fw::ip_from_bytes(family, ip + (v4 ? 12 : 8));
  p.to = fw::ip_from_bytes(family, ip + (v4 ? 16 : 24));
  if (!v4 && p.protocol == 0 && size > kEthernet + 48) {  // hop-by-hop options, of 8 bytes
    p.protocol = static_cast<std::uint8_t>(ip[40]);
    header += 8;
  }
  const char* const l4 = ip + header;
  if (size < kEthernet + header + 8) return false;
  if (p.protocol == kIcmp || p.protocol == kIcmp6 || p.protocol == kIgmp) {
    p.port_to = static_cast<std::uint8_t>(l4[0]);
    p.port_from = static_cast<std::uint16_t>(get16(l4 + 4));
    return true;
  }
  p.port_from = static_cast<std::uint16_t>(get16(l4));
  p.port_to = static_cast<std::uint16_t>(get16(l4 + 2));
  if (p.protocol != kTcp) return p.protocol == kUdp;
  if (size < kEthernet + header + 20) return false;
  p.sequence = get32(l4 + 4);
  p.acknowledged = get32(l4 + 8);
  p.flags = static_cast<std::uint8_t>(l4[13]);
  const std::size_t words = static_cast<std::uint8_t>(l4[12]) >> 4;
  if (words < 5 || size < kEthernet + header + 4 * words) return false;
  p.options.assign(l4 + 20, 4 * (words - 5));
  // A short frame is padded: the packet says itself how long it is.
  const std::size_t all = v4 ? get16(ip + 2) : 40 + get16(ip + 4);
  const std::size_t begin = header + 4 * words;
  if (begin <= all && kEthernet + all <= size) p.data.assign(ip + begin, all - begin);
  return true;
}

Fd packet_socket(const Namespace& where, int protocol) {
  return where.in([protocol] {
    Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
    address.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
    if (!fd.open() ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
      fail("these tests need packet sockets (CAP_NET_RAW, CONFIG_PACKET)");
    }
    const int one = 1;
    const int bytes = 64 << 20;
    ::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    return fd;
  });
}

void send_some(int fd, const std::string* frames, std::size_t count) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces{};
  for (std::size_t i = 0; i < count; ++i) {
    pieces[i] = {const_cast<char*>(frames[i].data()), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (std::size_t sent = 0; sent < count;) {
    const int some = ::sendmmsg(fd, messages.data() + sent, static_cast<unsigned>(count - sent), 0);
    if (some > 0) sent += static_cast<std::size_t>(some);
    if (some < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) fail("cannot send");
  }
}

}  // namespace

RawLink::RawLink(const Namespace& where, const Mac& from, const Mac& to)
    : sender_(packet_socket(where, 0)),
      receiver_(packet_socket(where, ETH_P_ALL)),
      from_(from),
      to_(to) {}

Frames RawLink::frames(const std::vector<Packet>& packets) const {
  Frames out;
  out.reserve(packets.size());
  for (const Packet& packet : packets) out.push_back(ethernet(from_, to_, packet));
  return out;
}

std::string RawLink::frame_of(const AnyPacket& p) const {
  const bool v4 = p.from.family == Family::ipv4;
  const bool alert = p.hop_limit == 1;
  std::string payload = p.payload;
  if (p.protocol == kIcmp || p.protocol == kIcmp6 || p.protocol == kIgmp) {
    std::string summed;
    if (!v4) {
      put_ip(summed, p.from);
      put_ip(summed, p.to);
      put32(summed, static_cast<std::uint32_t>(payload.size()));
      put32(summed, p.protocol);
    }
    set16(payload, 2, checksum(summed + payload));
  }
  std::string ip;
  const std::size_t options = alert ? (v4 ? 4 : 8) : 0;
  if (v4) {
    put16(ip, static_cast<std::uint32_t>((4u << 4 | (20 + options) / 4) << 8));
    put16(ip, static_cast<std::uint32_t>(20 + options + payload.size()));
    put32(ip, 0x4000);
    put16(ip, static_cast<std::uint32_t>(p.hop_limit << 8 | p.protocol));
    put16(ip, 0);
  } else {
    put32(ip, 6u << 28);
    put16(ip, static_cast<std::uint32_t>(options + payload.size()));
    put16(ip, static_cast<std::uint32_t>((alert ? 0 : p.protocol) << 8 | p.hop_limit));
  }
  put_ip(ip, p.from);
  put_ip(ip, p.to);
  if (alert && v4) put32(ip, 0x94040000);
  if (alert && !v4) {
    put16(ip, static_cast<std::uint32_t>(p.protocol) << 8);
    put32(ip, 0x05020000);  // router alert: MLD
    put16(ip, 0x0100);      // padding
  }
  if (v4) set16(ip, 10, checksum(ip));
  const Mac to = is_group(p.to) ? mac_of_group(p.to) : to_;
  std::string out(to.begin(), to.end());
  out.append(from_.begin(), from_.end());
  put16(out, v4 ? ETH_P_IP : ETH_P_IPV6);
  return out + ip + payload;
}

void RawLink::send(const Frames& frames) const {
  for (std::size_t at = 0; at < frames.size(); at += kBatch) {
    send_some(sender_.get(), frames.data() + at, std::min(kBatch, frames.size() - at));
  }
}

std::size_t RawLink::flood(const Frames& frames, double per_second,
                           const std::atomic<bool>& stop) const {
  const auto begin = Clock::now();
  std::size_t sent = 0;
  while (!stop) {
    const auto due = static_cast<std::size_t>(per_second * seconds_of(Clock::now() - begin));
    if (due <= sent) {
      std::this_thread::sleep_for(1ms);
      continue;
    }
    const std::size_t at = sent % frames.size();
    const std::size_t some = std::min({due - sent, kBatch, frames.size() - at});
    send_some(sender_.get(), frames.data() + at, some);
    sent += some;
  }
  return sent;
}

Frames RawLink::receive_frames(Clock::duration patience) {
  Frames out;
  std::array<char, 2048> data{};
  pollfd polled{receiver_.get(), POLLIN, 0};
  const auto wait_ms = std::chrono::ceil<milliseconds>(patience).count();
  if (::poll(&polled, 1, static_cast<int>(wait_ms)) != 1) return out;
  for (;;) {
    const ssize_t got = ::recv(receiver_.get(), data.data(), data.size(), MSG_DONTWAIT);
    if (got < 0) return out;
    out.emplace_back(data.data(), static_cast<std::size_t>(got));
  }
}

std::vector<Packet> RawLink::receive(Clock::duration patience) {
  std::vector<Packet> out;
  for (const std::string& frame : receive_frames(patience)) {
    Packet packet;
    if (parse(frame.data(), frame.size(), packet)) out.push_back(packet);
  }
  return out;
}

Handshakes::Handshakes(RawLink& link, Ip from, Ip to, const PortList& ports, std::size_t count,
                       std::uint16_t first_port)
    : link_(link) {
  errno = 0;
  if (first_port + count > kLastPort) fail("too many handshakes for one source");
  std::map<std::uint16_t, Packet> waiting;
  for (std::size_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + i);
    waiting[port] = {from, to, kTcp, port, ports[i % ports.size()], kSyn, 1'000, 0};
  }
  for (const auto end = Clock::now() + 30s; !waiting.empty();) {
    if (Clock::now() > end) fail(std::to_string(waiting.size()) + " SYNs had no answer");
    std::vector<Packet> some;
    for (const auto& [port, syn] : waiting) {
      if (some.size() < kBatch) some.push_back(syn);
    }
    link_.send(some);
    std::size_t answered = 0;
    const auto patience = Clock::now() + 300ms;
    while (answered < some.size() && Clock::now() < patience) {
      for (const Packet& answer : link_.receive(50ms)) {
        const auto it = waiting.find(answer.port_to);
        if (answer.flags != (kSyn | kAck) || answer.from != to || it == waiting.end()) continue;
        Packet last = it->second;
        last.flags = kAck;
        last.sequence += 1;
        last.acknowledged = answer.sequence + 1;
        last_of_[answer.port_to] = last_.size();
        open_.insert(answer.port_to);
        last_.push_back(last);
        waiting.erase(it);
        ++answered;
      }
    }
  }
}

void Handshakes::speak(const Protocol& protocol) {
  answer_ = protocol.answer;
  for (Packet& last : last_) {
    last.data = protocol.word;
    if (!last.data.empty()) last.flags |= kPsh;
  }
}

void Handshakes::finish() { link_.send(last_); }

void Handshakes::hear() {
  std::vector<Packet> ends;
  for (const Packet& packet : link_.receive(0ms)) {
    const auto it = last_of_.find(packet.port_to);
    if (it == last_of_.end() || packet.from != last_[it->second].to) continue;
    if ((packet.flags & kRst) != 0) {
      ++resets_;
      open_.erase(packet.port_to);
    }
    if (packet.data.empty() || !packet.data.starts_with(answer_)) continue;
    if (open_.erase(packet.port_to) == 0) continue;
    ++answers_;
    Packet end = last_[it->second];
    end.flags = kRst | kAck;
    end.sequence += static_cast<std::uint32_t>(end.data.size());
    end.acknowledged += static_cast<std::uint32_t>(packet.data.size());
    end.data.clear();
    ends.push_back(std::move(end));
  }
  link_.send(ends);
}

std::size_t Handshakes::resets() {
  hear();
  return resets_;
}

std::size_t Handshakes::answers() {
  hear();
  return answers_;
}

std::size_t Handshakes::open() {
  hear();
  return open_.size();
}

Burst finish(const std::vector<Handshakes*>& handshakes, const Namespace& host,
             const std::string& limit) {
  const std::uint64_t accepted = counter(host, limit + ".accepted");
  const std::uint64_t refused = counter(host, limit + ".refused");
  std::size_t count = 0;
  for (const Handshakes* one : handshakes) count += one->count();
  Burst burst;
  const auto begin = Clock::now();
  const auto send = [&] {
    for (Handshakes* one : handshakes) one->finish();
  };
  const auto decided = [&] {
    burst.admitted = counter(host, limit + ".accepted") - accepted;
    burst.refused = counter(host, limit + ".refused") - refused;
    burst.seconds = seconds_of(Clock::now() - begin);
    return burst.admitted + burst.refused >= count;
  };
  send();
  // A busy machine drops some on the way.
  while (!eventually(decided, 1s)) {
    if (Clock::now() - begin > 10s) fail("limit " + limit + " did not decide on all handshakes");
    send();
  }
  eventually([&] {
    burst.resets = 0;
    for (Handshakes* one : handshakes) burst.resets += one->resets();
    return burst.resets >= burst.refused;
  });
  return burst;
}

void keep_quiet(const Namespace& where) {
  must_run(where, {"nft", "-f", "-"}, R"(
table inet lab_quiet {
  chain prerouting {
    type filter hook prerouting priority raw;
    tcp dport 10000-29999 drop
  }
}
)");
}

}  // namespace lab
