// Makes captures for run-simulate: `make_capture KIND PACKETS > FILE`, pcap of Ethernet.
//
// connections: TCP connections of 12 small packets to 443 of one host, from 10,000 addresses of
// both families, 64 of them open at a time. flood: SYNs to 443, each from another address and port.
// datagrams: UDP to port 53 from a million addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>

#include <arpa/inet.h>

namespace {

std::mt19937_64 random_bits(1);

struct Endpoint {
  std::uint64_t address;  // a number of a client; 0: the host
  std::uint16_t port;
};

class Writer {
 public:
  Writer() {
    const std::array<std::uint32_t, 6> header{0xa1b23c4d, 0x00040002, 0, 0, 262'144, 1};
    std::fwrite(header.data(), sizeof header, 1, stdout);
  }
  void packet(bool v6, Endpoint from, Endpoint to, std::uint8_t protocol, std::uint8_t flags) {
    std::array<unsigned char, 96> bytes{};
    unsigned char* at = bytes.data();
    at[0] = at[6] = 2;
    const std::size_t transport = protocol == 6 ? 20 : 8;
    put(at + 12, v6 ? 0x86dd : 0x0800);
    at += 14;
    if (v6) {
      at[0] = 0x60;
      put(at + 4, static_cast<std::uint16_t>(transport));
      at[6] = protocol;
      address6(at + 8, from.address);
      address6(at + 24, to.address);
      at += 40;
    } else {
      at[0] = 0x45;
      put(at + 2, static_cast<std::uint16_t>(20 + transport));
      at[9] = protocol;
      address4(at + 12, from.address);
      address4(at + 16, to.address);
      at += 20;
    }
    put(at, from.port);
    put(at + 2, to.port);
    if (protocol == 6) at[13] = flags;
    at += transport;
    const auto size = static_cast<std::uint32_t>(at - bytes.data());
    time_ += 2000;
    const std::array<std::uint32_t, 4> record{
        static_cast<std::uint32_t>(1'700'000'000 + time_ / 1'000'000'000),
        static_cast<std::uint32_t>(time_ % 1'000'000'000), size, size};
    std::fwrite(record.data(), sizeof record, 1, stdout);
    std::fwrite(bytes.data(), size, 1, stdout);
  }

 private:
  static void put(unsigned char* at, std::uint16_t value) {
    value = htons(value);
    std::memcpy(at, &value, sizeof value);
  }
  static void address4(unsigned char* at, std::uint64_t client) {
    const std::uint32_t a =
        htonl(client == 0 ? 0xcb007101 : 0x14000000 + static_cast<std::uint32_t>(client));
    std::memcpy(at, &a, sizeof a);
  }
  static void address6(unsigned char* at, std::uint64_t client) {
    const std::uint32_t high = htonl(0x20010db8);
    const std::uint32_t net = htonl(static_cast<std::uint32_t>(client));
    std::memcpy(at, &high, sizeof high);
    std::memcpy(at + 4, &net, sizeof net);
    at[15] = 1;
  }

  std::uint64_t time_ = 0;
};

void connections(Writer& writer, std::uint64_t packets) {
  constexpr std::array<std::uint8_t, 12> kFlags{2, 18, 16, 24, 16, 24, 16, 24, 16, 17, 17, 16};
  struct One {
    Endpoint client{};
    bool v6 = false;
    std::size_t step = 0;  ///< 0: none is open
  };
  std::array<One, 64> open{};
  for (std::uint64_t i = 0; i < packets; ++i) {
    One& one = open[random_bits() % open.size()];
    if (one.step == 0) {
      const std::uint64_t random = random_bits();
      one = {{1 + random % 10'000, static_cast<std::uint16_t>(1024 + (random >> 32) % 60'000)},
             (random >> 60) % 2 == 1,
             0};
    }
    static constexpr Endpoint kHost{0, 443};
    const bool from_client = one.step % 2 == 0;
    writer.packet(one.v6, from_client ? one.client : kHost, from_client ? kHost : one.client, 6,
                  kFlags[one.step]);
    one.step = (one.step + 1) % kFlags.size();
  }
}

void flood(Writer& writer, std::uint64_t packets) {
  for (std::uint64_t i = 0; i < packets; ++i) {
    const std::uint64_t random = random_bits();
    writer.packet(i % 2 == 1, {1 + random % (1u << 24), static_cast<std::uint16_t>(random >> 48)},
                  {0, 443}, 6, 2);
  }
}

void datagrams(Writer& writer, std::uint64_t packets) {
  for (std::uint64_t i = 0; i < packets; ++i) {
    const std::uint64_t random = random_bits();
    writer.packet(i % 2 == 1, {1 + random % 1'000'000, 5353}, {0, 53}, 17, 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_capture connections|flood|datagrams PACKETS > FILE\n");
    return 64;
  }
  const std::string_view kind = argv[1];
  const std::uint64_t packets = std::strtoull(argv[2], nullptr, 10);
  Writer writer;
  if (kind == "connections") {
    connections(writer, packets);
  } else if (kind == "flood") {
    flood(writer, packets);
  } else {
    datagrams(writer, packets);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
