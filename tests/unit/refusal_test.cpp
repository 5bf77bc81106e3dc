// Messages of the log subsystem, whole and garbled.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstring>
#include <random>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "chains/netlink/refusal_feed.hpp"
#include "tests/unit/samples.hpp"

namespace chains {
namespace {

/// A SYN from 198.18.0.1 to port 22, as the kernel tells of it.
std::vector<char> message(const char* prefix) {
  static constexpr unsigned char kPacket[40] = {
      0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198,  18, 0, 1, 203, 0, 113, 1,
      4,    0, 0, 22, 0, 0, 0, 0, 0,  0, 0, 0, 0x50, 2,  0, 0, 0,   0, 0,   0};
  std::vector<char> bytes(512);
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  mnl_attr_put_strz(header, NFULA_PREFIX, prefix);
  mnl_attr_put(header, NFULA_PAYLOAD, sizeof kPacket, kPacket);
  bytes.resize(header->nlmsg_len);
  leave_sample("netlink", {bytes.data(), bytes.size()});
  return bytes;
}

bool read(const std::vector<char>& bytes, Refusal& out) {
  return read_refusal(reinterpret_cast<const nlmsghdr*>(bytes.data()), out);
}

TEST(Refusal, IsRead) {
  Refusal out;
  ASSERT_TRUE(read(message("cloudron-fw refused ssh"), out));
  EXPECT_EQ(out.why, Refusal::Why::limit);
  EXPECT_EQ(out.limit, "ssh");
  EXPECT_FALSE(out.shaken);
  EXPECT_EQ(to_string(out.packet.source), "198.18.0.1");
  EXPECT_EQ(out.packet.source_port, 1024);
  EXPECT_EQ(out.packet.destination_port, 22);
  ASSERT_TRUE(read(message("cloudron-fw reset web"), out));
  EXPECT_EQ(out.limit, "web");
  EXPECT_TRUE(out.shaken);
  ASSERT_TRUE(read(message("cloudron-fw closed"), out));
  EXPECT_EQ(out.why, Refusal::Why::closed);
  ASSERT_TRUE(read(message("something else"), out));
  EXPECT_EQ(out.why, Refusal::Why::other);
}

TEST(Refusal, GarbledOnesAreNone) {
  const std::vector<char> whole = message("cloudron-fw refused ssh");
  std::mt19937 random(1);
  Refusal out;
  for (std::size_t size = sizeof(nlmsghdr); size < whole.size(); size += 4) {
    std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(cut.data(), &length, sizeof length);
    EXPECT_FALSE(read(cut, out)) << size;
  }
  for (int round = 0; round < 20'000; ++round) {
    std::vector<char> garbled = whole;
    for (int i = 0; i < 4; ++i) {
      garbled[sizeof(nlmsghdr) + random() % (whole.size() - sizeof(nlmsghdr))] =
          static_cast<char>(random());
    }
    read(garbled, out);  // whatever it says, it reads nothing that is not there
  }
}

}  // namespace
}  // namespace chains
