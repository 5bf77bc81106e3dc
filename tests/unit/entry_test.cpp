// Messages about entries of connection tracking, read back by the product's own reader.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/entry.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "chains/netlink/attributes.hpp"

namespace chains {
namespace {

OpenConnection connection(const char* local, const char* remote) {
  return {fw::parse_ip(local).value(), 22, fw::parse_ip(remote).value(), 40'000};
}

class EntryMessage {
 public:
  explicit EntryMessage(const nf_conntrack& entry)
      : header_(put_entry(room_, IPCTNL_MSG_CT_NEW, 0, entry, 0)) {}
  nlmsghdr* header() { return header_; }
  Flow flow() const { return read_flow(header_); }
  std::vector<int> types() const {
    std::vector<int> out;
    for_each_attribute(header_, sizeof(nfgenmsg),
                       [&out](const nlattr* a) { out.push_back(mnl_attr_get_type(a)); });
    return out;
  }
  Bytes value(int type) const {
    Bytes out;
    for_each_attribute(header_, sizeof(nfgenmsg), [&](const nlattr* a) {
      if (mnl_attr_get_type(a) != type) return;
      const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(a));
      out.assign(bytes, bytes + mnl_attr_get_payload_len(a));
    });
    return out;
  }

 private:
  alignas(nlmsghdr) char room_[kEntryBytesMax]{};
  nlmsghdr* header_;
};

TEST(Entry, AnEstablishedOneHasBothDirectionsAndItsLabel) {
  Bytes label(16);
  label[0] = 0x81;
  label[15] = 0x40;
  for (const auto& [local, remote] :
       {std::pair{"203.0.113.1", "198.18.0.1"}, std::pair{"2001:db8::1", "2001:db8::2"}}) {
    const OpenConnection c = connection(local, remote);
    const Flow flow = EntryMessage(*established_entry(c, label)).flow();
    EXPECT_EQ(flow.source, c.remote);
    EXPECT_EQ(flow.source_port, c.remote_port);
    EXPECT_EQ(flow.destination, c.local);
    EXPECT_EQ(flow.destination_port, c.local_port);
    EXPECT_EQ(flow.reply_source, c.local);
    EXPECT_EQ(flow.protocol, IPPROTO_TCP);
    EXPECT_EQ(flow.label, label);
    EXPECT_TRUE(flow.answered());
    EXPECT_TRUE(flow.assured());
    EXPECT_FALSE(flow.ending);
  }
}

TEST(Entry, ItsIdentityIsItsFirstDirectionAndItsZone) {
  const EntryHandle entry = established_entry(connection("203.0.113.1", "198.18.0.1"), Bytes(16));
  EXPECT_EQ(EntryMessage(*identity_of(*entry)).types(), std::vector<int>{CTA_TUPLE_ORIG});
  nfct_set_attr_u16(entry.get(), ATTR_ZONE, 7);
  const EntryMessage zoned(*identity_of(*entry));
  EXPECT_EQ(zoned.types(), (std::vector<int>{CTA_TUPLE_ORIG, CTA_ZONE}));
  EXPECT_EQ(zoned.value(CTA_ZONE), (Bytes{0, 7}));
}

/// A zone of one direction is in that direction's part of the message.
TEST(Entry, ItsIdentityHasTheZoneOfItsFirstDirection) {
  const EntryHandle entry = established_entry(connection("203.0.113.1", "198.18.0.1"), Bytes(16));
  nfct_set_attr_u16(entry.get(), ATTR_ORIG_ZONE, 7);
  const EntryHandle again = read_entry(EntryMessage(*identity_of(*entry)).header());
  ASSERT_TRUE(again);
  EXPECT_EQ(nfct_get_attr_u16(again.get(), ATTR_ORIG_ZONE), 7);
}

TEST(Entry, ClearedBitsAreInTheMaskAlone) {
  const EntryHandle entry = tcp_entry(connection("203.0.113.1", "198.18.0.1"));
  Bytes bits(16);
  bits[3] = 0x12;
  set_label_cleared(*entry, bits);
  const EntryMessage message(*entry);
  EXPECT_EQ(message.value(CTA_LABELS), Bytes(16));
  EXPECT_EQ(message.value(CTA_LABELS_MASK), bits);
}

TEST(Entry, AnIdIsReadBack) {
  EntryMessage message(*tcp_entry(connection("203.0.113.1", "198.18.0.1")));
  append_entry_id(message.header(), 0x01020304);
  EXPECT_EQ(message.flow().id, 0x01020304u);
  const EntryHandle read = read_entry(message.header());
  ASSERT_TRUE(read);
  EXPECT_EQ(nfct_get_attr_u32(read.get(), ATTR_ID), 0x01020304u);
}

TEST(Netlink, MessagesEndBeforeOneThatIsNotWhole) {
  alignas(nlmsghdr) char bytes[3 * sizeof(nlmsghdr)]{};
  for (std::size_t i = 0; i < 3; ++i) {
    reinterpret_cast<nlmsghdr*>(bytes)[i].nlmsg_len = sizeof(nlmsghdr);
    reinterpret_cast<nlmsghdr*>(bytes)[i].nlmsg_seq = static_cast<std::uint32_t>(i);
  }
  const auto read = [&bytes](long size) {
    std::vector<std::uint32_t> seen;
    for (const nlmsghdr* const m : Messages(bytes, size)) seen.push_back(m->nlmsg_seq);
    return seen;
  };
  using Seen = std::vector<std::uint32_t>;
  EXPECT_EQ(read(sizeof bytes), (Seen{0, 1, 2}));
  EXPECT_EQ(read(sizeof bytes - 1), (Seen{0, 1}));
  EXPECT_EQ(read(0), Seen{});
  EXPECT_EQ(read(-1), Seen{});
  reinterpret_cast<nlmsghdr*>(bytes)[1].nlmsg_len = 0xffffffff;
  EXPECT_EQ(read(sizeof bytes), Seen{0});
}

TEST(Netlink, AnErrorThatIsTooShortIsNoSuccess) {
  nlmsghdr message{};
  message.nlmsg_len = sizeof message;
  EXPECT_EQ(error_of(&message), EBADMSG);
}

}  // namespace
}  // namespace chains
