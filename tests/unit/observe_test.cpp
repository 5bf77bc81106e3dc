// Messages of nf_tables read back into rules: those of a transaction, which a dump resembles, whole
// and with other values.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/observe.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "chains/compile.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/netlink/label_writers.hpp"
#include "chains/text.hpp"
#include "fw/effective/policy.hpp"
#include "tests/fuzz/attribute_values.hpp"
#include "tests/unit/samples.hpp"

namespace chains {
namespace {

using Message = std::vector<char>;  // its own memory: a read behind its end is seen

const nlmsghdr* header_of(const Message& message) {
  return reinterpret_cast<const nlmsghdr*>(message.data());
}

int type_of(const Message& message) { return header_of(message)->nlmsg_type & 0xff; }

/// Apps, limits of both kinds, an addon, an own port and one for a network: every kind of rule that
/// a small policy makes.
Ruleset ruleset() {
  const auto parsed = fw::parse_policy(
      "[ports]\ntcp = [22, 80, 8443]\nudp = [51820]\n"
      "[apps]\nnetwork = [\"172.18.0.0/16\", \"2001:db8:172::/48\"]\n"
      "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.1.2\", \"2001:db8:172::2\"]\n"
      "publishes = [8080]\naddons = [\"db\"]\n"
      "[[addon]]\nname = \"db\"\naddresses = [\"172.18.0.9\"]\nports = [3306]\n"
      "[[open]]\nports = [9100]\nfrom = [\"198.51.100.0/24\"]\n",
      "policy.toml");
  for (const auto& problem : parsed.problems) ADD_FAILURE() << to_string(problem);
  return compile(parsed.policy, {});
}

/// Ends the names of objects with a NUL, as the kernel does; libnftnl reads on until there is one,
/// and writes none.
void put_terminated(nlmsghdr* out, const nlattr* expression) {
  std::string_view name;
  nlattr* const element = mnl_attr_nest_start(out, NFTA_LIST_ELEM);
  for_each_nested(expression, [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == NFTA_EXPR_NAME) name = mnl_attr_get_str(a);
    if (mnl_attr_get_type(a) != NFTA_EXPR_DATA || name != "objref") {
      mnl_attr_put(out, a->nla_type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
      return;
    }
    nlattr* const data = mnl_attr_nest_start(out, NFTA_EXPR_DATA);
    for_each_nested(a, [out](const nlattr* part) {
      const auto type = mnl_attr_get_type(part);
      const std::string text(static_cast<const char*>(mnl_attr_get_payload(part)),
                             mnl_attr_get_payload_len(part));
      const bool named = type == NFTA_OBJREF_IMM_NAME || type == NFTA_OBJREF_SET_NAME;
      mnl_attr_put(out, type, text.size() + (named ? 1 : 0), text.c_str());
    });
    mnl_attr_nest_end(out, data);
  });
  mnl_attr_nest_end(out, element);
}

Message as_dumped(const nlmsghdr* rule) {
  Message out(2 * rule->nlmsg_len);
  auto* const header = reinterpret_cast<nlmsghdr*>(out.data());
  std::memcpy(header, rule, sizeof(nlmsghdr) + sizeof(nfgenmsg));
  header->nlmsg_len = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  for_each_attribute(rule, sizeof(nfgenmsg), [header](const nlattr* a) {
    if (mnl_attr_get_type(a) != NFTA_RULE_EXPRESSIONS) {
      mnl_attr_put(header, a->nla_type, mnl_attr_get_payload_len(a), mnl_attr_get_payload(a));
      return;
    }
    nlattr* const list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
    for_each_nested(a, [header](const nlattr* each) { put_terminated(header, each); });
    mnl_attr_nest_end(header, list);
  });
  return {out.begin(), out.begin() + header->nlmsg_len};
}

std::vector<Message> messages_of(const Ruleset& ruleset) {
  Batch batch(1);
  const Plan plan = diff(nullptr, ruleset);
  encode(plan, batch);
  batch.finish();
  std::vector<Message> out;
  for (const iovec& piece : batch.pieces()) {
    int left = static_cast<int>(piece.iov_len);
    for (auto* message = static_cast<const nlmsghdr*>(piece.iov_base); message_fits(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      const auto* const bytes = reinterpret_cast<const char*>(message);
      if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) continue;
      if ((message->nlmsg_type & 0xff) == NFT_MSG_NEWRULE) {
        out.push_back(as_dumped(message));
      } else {
        out.emplace_back(bytes, bytes + message->nlmsg_len);
      }
    }
  }
  return out;
}

std::string set_of_elements(const Message& message) {
  std::string name;
  for_each_attribute(header_of(message), sizeof(nfgenmsg), [&name](const nlattr* a) {
    if (mnl_attr_get_type(a) == NFTA_SET_ELEM_LIST_SET) name = mnl_attr_get_str(a);
  });
  return name;
}

/// As Kernel::read puts it together.
Ruleset observe(const std::vector<Message>& messages) {
  Ruleset out;
  std::map<std::string, std::vector<RawElement>> elements;
  for (const Message& message : messages) {
    const nlmsghdr* const header = header_of(message);
    switch (type_of(message)) {
      case NFT_MSG_NEWCHAIN:
        if (auto chain = observe_chain(header)) out.chains.push_back(std::move(*chain));
        break;
      case NFT_MSG_NEWSET:
        if (auto set = observe_set(header)) {
          // The kernel's size for what rules fill, of which it is told nothing.
          if (set->set.dynamic && set->set.size == 0) set->set.size = 65'535;
          out.sets.push_back(std::move(set->set));
        }
        break;
      case NFT_MSG_NEWOBJ:
        if (auto object = observe_object(header)) out.objects.push_back(std::move(object->object));
        break;
      case NFT_MSG_NEWSETELEM:
        for (RawElement& raw : observe_elements(header))
          elements[set_of_elements(message)].push_back(std::move(raw));
        break;
      case NFT_MSG_NEWRULE:
        if (auto rule = observe_rule(header)) {
          const auto chain = std::ranges::find(out.chains, rule->chain, &Chain::name);
          if (chain != out.chains.end()) chain->rules.push_back(std::move(rule->rule));
        }
        break;
      default:
        break;
    }
  }
  std::vector<Counted> counts;
  for (Set& set : out.sets) fill_elements(set, counts, std::move(elements[set.name]));
  return out;
}

TEST(Observe, ReadsBackWhatATransactionMakes) {
  const Ruleset meant = ruleset();
  const auto messages = messages_of(meant);
  const Ruleset read = observe(messages);
  const Description left = describe(&read, meant, Unused::remove, 20);
  for (const DiffLine& line : left.lines) {
    ADD_FAILURE() << line.sign << ' ' << line.place << ": " << line.text;
  }
  EXPECT_EQ(read.sets.size(), meant.sets.size());
  EXPECT_EQ(read.objects, meant.objects);
}

TEST(Observe, OthersMessagesAreNothing) {
  for (Message message : messages_of(ruleset())) {
    const std::string_view own = "cloudron";
    const auto name = std::ranges::search(message, own);
    ASSERT_FALSE(name.empty());
    name.front() = 'k';  // the table's name comes first in each
    const nlmsghdr* const header = header_of(message);
    EXPECT_FALSE(type_of(message) == NFT_MSG_NEWCHAIN && observe_chain(header));
    EXPECT_FALSE(type_of(message) == NFT_MSG_NEWRULE && observe_rule(header));
    EXPECT_FALSE(type_of(message) == NFT_MSG_NEWSET && observe_set(header));
    EXPECT_FALSE(type_of(message) == NFT_MSG_NEWOBJ && observe_object(header));
  }
}

TEST(Observe, WhateverAttributesHoldIsReadWithoutAFault) {
#ifdef __SANITIZE_ADDRESS__
  // libnftnl itself forgets the memory of an expression that it refuses.
  const __lsan::ScopedDisabler forgets;
#endif
  const auto whole = messages_of(ruleset());
  for (const Message& message : whole) leave_sample("dump", {message.data(), message.size()});
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    Message message = whole[random() % whole.size()];
    const auto size = message.size();
    message.resize(size + 4);  // a NUL, where the last name lost its own
    const auto values = attribute_values(reinterpret_cast<std::uint8_t*>(message.data()), size);
    const auto value = values[random() % values.size()];
    value[random() % value.size()] = static_cast<std::uint8_t>(random());
    const Ruleset read = observe({message});
    write_nft(
        read, [](const auto&, const auto&) {}, [](std::string_view) {});
    if (type_of(message) == NFT_MSG_NEWRULE) {
      const auto rule = observe_rule(header_of(message));
      if (rule) (void)to_text(rule->rule);
      (void)label_writer(header_of(message), Bytes(16, 0xff));
    }
  }
}

}  // namespace
}  // namespace chains
