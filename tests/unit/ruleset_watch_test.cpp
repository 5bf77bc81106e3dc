// What a change of rulesets looks like on the wire, garbled too.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/ruleset_watch.hpp"

#include <cstring>
#include <random>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "tests/unit/samples.hpp"

namespace chains {
namespace {

/// A message of nf_tables, as the kernel makes it.
class Message {
 public:
  Message(int type, int family) : bytes_(512) {
    nlmsghdr* const header = mnl_nlmsg_put_header(bytes_.data());
    header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    nfg->nfgen_family = static_cast<std::uint8_t>(family);
  }
  Message& text(std::uint16_t attribute, const char* value) {
    mnl_attr_put_strz(header(), attribute, value);
    return *this;
  }
  Message& number(std::uint16_t attribute, std::uint32_t value) {
    mnl_attr_put_u32(header(), attribute, htonl(value));
    return *this;
  }
  const nlmsghdr* get() const { return reinterpret_cast<const nlmsghdr*>(bytes_.data()); }
  std::vector<char> bytes() const { return {bytes_.begin(), bytes_.begin() + get()->nlmsg_len}; }

 private:
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }

  std::vector<char> bytes_;
};

Message of_table(int type, int family = NFPROTO_INET, const char* table = "cloudron") {
  return Message(type, family).text(NFTA_TABLE_NAME, table);
}

Message end_of_change() {
  return Message(NFT_MSG_NEWGEN, AF_UNSPEC)
      .number(NFTA_GEN_ID, 7)
      .number(NFTA_GEN_PROC_PID, 4711)
      .text(NFTA_GEN_PROC_NAME, "nft");
}

RulesetChange change_of(const std::vector<Message>& messages) {
  ChangeReader reader;
  RulesetChange change;
  for (const Message& message : messages) EXPECT_FALSE(reader.read(message.get(), change));
  EXPECT_TRUE(reader.read(end_of_change().get(), change));
  EXPECT_EQ(reader.malformed(), 0u);
  return change;
}

TEST(ChangeReader, SaysWhoAndWhetherItIsOurs) {
  EXPECT_EQ(change_of({of_table(NFT_MSG_DELRULE)}), (RulesetChange{7, 4711, "nft", true, false}));
  EXPECT_EQ(change_of({of_table(NFT_MSG_NEWSETELEM), of_table(NFT_MSG_DELSETELEM)}),
            (RulesetChange{7, 4711, "nft", true, true}));
  EXPECT_EQ(change_of({of_table(NFT_MSG_NEWSETELEM), of_table(NFT_MSG_DELTABLE)}),
            (RulesetChange{7, 4711, "nft", true, false, 0, true}));
}

TEST(ChangeReader, OthersTablesAreNotOurs) {
  const RulesetChange others{7, 4711, "nft", false, false};
  EXPECT_EQ(change_of({}), others);
  EXPECT_EQ(change_of({of_table(NFT_MSG_NEWRULE, NFPROTO_IPV4)}), others);
  EXPECT_EQ(change_of({of_table(NFT_MSG_NEWRULE, NFPROTO_INET, "cloudron2")}), others);
  EXPECT_EQ(change_of({of_table(NFT_MSG_NEWRULE, NFPROTO_INET, "cloud")}), others);
}

TEST(ChangeReader, OneChangeSaysNothingOfTheNext) {
  ChangeReader reader;
  RulesetChange change;
  (void)reader.read(of_table(NFT_MSG_DELRULE).get(), change);
  (void)reader.read(end_of_change().get(), change);
  EXPECT_TRUE(reader.read(end_of_change().get(), change));
  EXPECT_FALSE(change.ours);
}

TEST(ChangeReader, GarbledMessagesAreCountedOrSkipped) {
  std::mt19937 random(3);
  ChangeReader reader;
  RulesetChange change;
  const std::vector<char> whole[] = {of_table(NFT_MSG_DELRULE).bytes(), end_of_change().bytes()};
  for (const auto& sample : whole) leave_sample("netlink", {sample.data(), sample.size()});
  for (int round = 0; round < 20'000; ++round) {
    std::vector<char> bytes = whole[random() % 2];
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    // Of its own size on the heap, and no longer than it says: what reads behind the end is seen.
    const auto size = static_cast<std::uint32_t>(sizeof(nlmsghdr) +
                                                 random() % (bytes.size() - sizeof(nlmsghdr) + 1));
    bytes.resize(size);
    std::memcpy(bytes.data(), &size, sizeof size);
    (void)reader.read(reinterpret_cast<const nlmsghdr*>(bytes.data()), change);
  }
  EXPECT_GT(reader.malformed(), 0u);
  const Message foreign(0, AF_UNSPEC);
  nlmsghdr other = *foreign.get();
  other.nlmsg_type = NLMSG_NOOP;
  other.nlmsg_len = sizeof other;
  const auto before = reader.malformed();
  EXPECT_FALSE(reader.read(&other, change));
  EXPECT_EQ(reader.malformed(), before + 1);
}

}  // namespace
}  // namespace chains
