// The socket filter of flow events, run by the kernel on messages of every kind.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow_filter.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chains/netlink/flow.hpp"

namespace chains {
namespace {

using fw::PortRange;
using fw::Protocol;

class Filter {
 public:
  explicit Filter(const std::vector<PortRange>& ports) {
    auto code = flow_filter(ports);
    EXPECT_LE(code.size(), BPF_MAXINSNS);
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends_.data()), 0);
    EXPECT_EQ(setsockopt(ends_[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
  }
  ~Filter() {
    for (const int end : ends_) close(end);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  bool passes(const nlmsghdr* message) const {
    EXPECT_EQ(send(ends_[0], message, message->nlmsg_len, 0), message->nlmsg_len);
    std::array<char, 1024> buffer;
    return recv(ends_[1], buffer.data(), buffer.size(), MSG_DONTWAIT) > 0;
  }
  /// A message as the kernel lays it out.
  bool passes(int family, std::uint8_t protocol, std::uint16_t port) const {
    alignas(nlmsghdr) char room[512];
    nlmsghdr* message = put_conntrack_header(room, IPCTNL_MSG_CT_NEW, 0, family, 0);
    const std::array<char, 16> address{};
    const bool v4 = family == AF_INET;
    nlattr* tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    nlattr* ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    mnl_attr_put(message, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4 ? 4 : 16, address.data());
    mnl_attr_put(message, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, v4 ? 4 : 16, address.data());
    mnl_attr_nest_end(message, ip);
    nlattr* ports = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(message, CTA_PROTO_NUM, protocol);
    mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(40'000));
    mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(port));
    mnl_attr_nest_end(message, ports);
    mnl_attr_nest_end(message, tuple);
    return passes(message);
  }

 private:
  std::array<int, 2> ends_{};
};

bool among(const std::vector<PortRange>& ranges, std::uint8_t protocol, std::uint16_t port) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const PortRange& r) {
    return r.contains(static_cast<Protocol>(protocol), port);
  });
}

std::vector<PortRange> random_ranges(std::mt19937& random, std::size_t count, unsigned widest) {
  std::vector<PortRange> ranges;
  while (ranges.size() < count) {
    const auto first = 1 + random() % 65'535;
    const auto last = std::min<std::size_t>(65'535, first + random() % widest);
    ranges.push_back({random() % 2 == 0 ? Protocol::tcp : Protocol::udp,
                      static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
  }
  return ranges;
}

TEST(FlowFilter, PassesThePortsAndNoOthers) {
  std::mt19937 random{1};
  for (const std::size_t count : {0, 1, 2, 3, 17, 250}) {
    const auto ranges = random_ranges(random, count, 300);
    const Filter filter(ranges);
    std::vector<std::uint16_t> ports{1, 65'535};
    for (const PortRange& r : ranges) {
      for (const int near : {r.first - 1, +r.first, +r.last, r.last + 1}) {
        ports.push_back(static_cast<std::uint16_t>(near));
      }
    }
    for (const std::uint16_t port : ports) {
      for (const int family : {AF_INET, AF_INET6}) {
        for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{1}}) {
          ASSERT_EQ(filter.passes(family, protocol, port), among(ranges, protocol, port))
              << count << " ranges, family " << family << ", protocol " << +protocol << ", port "
              << port;
        }
      }
    }
  }
}

TEST(FlowFilter, OfVeryManyRangesPassesAllAndLittleMore) {
  std::mt19937 random{2};
  const auto ranges = random_ranges(random, 2000, 1);
  const Filter filter(ranges);
  std::size_t more = 0;
  for (unsigned port = 1; port < 65'536; port += 1) {
    const auto p = static_cast<std::uint16_t>(port);
    const bool passed = filter.passes(AF_INET6, 6, p);
    const bool wanted = among(ranges, 6, p);
    ASSERT_TRUE(passed || !wanted) << port;
    more += passed && !wanted ? 1 : 0;
  }
  EXPECT_GT(more, 0u);
  EXPECT_LT(more, 40'000u);
}

TEST(FlowFilter, PassesWhatItCannotRead) {
  const Filter filter({{Protocol::tcp, 80, 80}});
  alignas(nlmsghdr) char room[512];
  nlmsghdr* message = put_conntrack_header(room, IPCTNL_MSG_CT_NEW, 0, AF_INET, 0);
  const std::array<char, 200> zone{};
  mnl_attr_put(message, CTA_ZONE, zone.size(), zone.data());
  EXPECT_TRUE(filter.passes(message));
}

}  // namespace
}  // namespace chains
