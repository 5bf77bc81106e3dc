// Messages of connection tracking, whole and with parts that are too short.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow.hpp"

#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/entry.hpp"
#include "tests/unit/samples.hpp"

namespace chains {
namespace {

/// An event of connection tracking, made part by part.
class FlowMessage {
 public:
  FlowMessage() { put_conntrack_header(room_, IPCTNL_MSG_CT_NEW, 0, AF_INET, 0); }

  /// A TCP connection from port 40,000 to port 22, which may be translated to `answers`.
  FlowMessage& ends(const char* from, const char* to, const char* answers = nullptr) {
    const EntryHandle entry =
        tcp_entry({fw::parse_ip(to).value(), 22, fw::parse_ip(from).value(), 40'000});
    if (answers != nullptr) {
      nfct_set_attr_u8(entry.get(), ATTR_REPL_L3PROTO, AF_INET);
      nfct_set_attr_u8(entry.get(), ATTR_REPL_L4PROTO, IPPROTO_TCP);
      nfct_set_attr_u32(entry.get(), ATTR_REPL_IPV4_SRC, inet_addr(answers));
      nfct_set_attr_u32(entry.get(), ATTR_REPL_IPV4_DST, inet_addr(from));
      nfct_set_attr_u16(entry.get(), ATTR_REPL_PORT_SRC, htons(22));
      nfct_set_attr_u16(entry.get(), ATTR_REPL_PORT_DST, htons(40'000));
    }
    nfct_nlmsg_build(header(), entry.get());
    return *this;
  }
  FlowMessage& number(std::uint16_t type, std::uint32_t value) {
    mnl_attr_put_u32(header(), type, htonl(value));
    return *this;
  }
  FlowMessage& tcp_state(std::uint8_t state) {
    nlattr* const info = mnl_attr_nest_start(header(), CTA_PROTOINFO);
    nlattr* const tcp = mnl_attr_nest_start(header(), CTA_PROTOINFO_TCP);
    mnl_attr_put_u8(header(), CTA_PROTOINFO_TCP_STATE, state);
    mnl_attr_nest_end(header(), tcp);
    mnl_attr_nest_end(header(), info);
    return *this;
  }
  /// An attribute without a value, in these others.
  FlowMessage& empty(const std::vector<std::uint16_t>& in, std::uint16_t type) {
    std::vector<nlattr*> nests;
    for (const std::uint16_t outer : in) nests.push_back(mnl_attr_nest_start(header(), outer));
    mnl_attr_put(header(), type, 0, nullptr);
    for (; !nests.empty(); nests.pop_back()) mnl_attr_nest_end(header(), nests.back());
    return *this;
  }
  Flow read() {
    leave_sample("netlink", {room_, header()->nlmsg_len});
    return read_flow(header());
  }

 private:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(room_); }

  alignas(nlmsghdr) char room_[512]{};
};

TEST(Flow, IsRead) {
  const Flow flow = FlowMessage()
                        .ends("198.18.0.1", "203.0.113.1", "172.18.0.2")
                        .tcp_state(TCP_CONNTRACK_FIN_WAIT)
                        .number(CTA_ID, 7)
                        .number(CTA_STATUS, 14)
                        .read();
  EXPECT_EQ(to_string(flow.source), "198.18.0.1");
  EXPECT_EQ(to_string(flow.destination), "203.0.113.1");
  EXPECT_EQ(to_string(flow.reply_source), "172.18.0.2");
  EXPECT_EQ(flow.source_port, 40'000);
  EXPECT_EQ(flow.destination_port, 22);
  EXPECT_EQ(flow.protocol, IPPROTO_TCP);
  EXPECT_TRUE(flow.ending);
  EXPECT_EQ(flow.id, 7u);
  EXPECT_TRUE(flow.answered());
  EXPECT_TRUE(flow.assured());
  const Flow six = FlowMessage().ends("2001:db8::1", "2001:db8::2").read();
  EXPECT_EQ(to_string(six.source), "2001:db8::1");
  EXPECT_EQ(to_string(six.destination), "2001:db8::2");
}

/// What stands behind an attribute is not its value.
TEST(Flow, ATooShortAttributeSaysNothing) {
  const std::vector<std::uint16_t> ip{CTA_TUPLE_ORIG, CTA_TUPLE_IP};
  const std::vector<std::uint16_t> protocol{CTA_TUPLE_ORIG, CTA_TUPLE_PROTO};
  for (const std::uint16_t type : {CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST})
    EXPECT_EQ(FlowMessage().empty(ip, type).number(CTA_TIMEOUT, 9).read(), Flow{}) << type;
  for (const std::uint16_t type : {CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT})
    EXPECT_EQ(FlowMessage().empty(protocol, type).number(CTA_TIMEOUT, 9).read(), Flow{}) << type;
  for (const std::uint16_t type : {CTA_ID, CTA_STATUS})
    EXPECT_EQ(FlowMessage().empty({}, type).number(CTA_TIMEOUT, 9).read(), Flow{}) << type;
  EXPECT_EQ(FlowMessage()
                .empty({CTA_PROTOINFO, CTA_PROTOINFO_TCP}, CTA_PROTOINFO_TCP_STATE)
                .number(CTA_TIMEOUT, 9)
                .read(),
            Flow{});
}

TEST(Netlink, AMessageFitsByAllOfItsLength) {
  nlmsghdr message{};
  for (const std::uint32_t length : {0u, 15u, 17u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    message.nlmsg_len = length;
    EXPECT_FALSE(message_fits(&message, sizeof message)) << length;
  }
  message.nlmsg_len = sizeof message;
  EXPECT_TRUE(message_fits(&message, sizeof message));
  EXPECT_FALSE(message_fits(&message, sizeof message - 1));
  EXPECT_FALSE(message_fits(&message, -1));
}

}  // namespace
}  // namespace chains
