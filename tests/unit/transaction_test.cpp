// Transactions as nft text: what a commit does, line by line.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/transaction.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "chains/compile.hpp"
#include "fw/effective/policy.hpp"
#include "fw/policy/policy.hpp"

namespace chains {
namespace {

using Do = StreamElements::Do;
using std::chrono::milliseconds;

fw::U128 bits(const std::string& ip) { return fw::parse_ip(ip).value().bits; }

/// Elements of one set: FIRST-LAST with a timeout if it is not 0.
struct Streamed {
  std::string first;
  std::string last;
  milliseconds timeout{0};
};
StreamElements stream(Do what, const std::string& set, Field key, bool interval,
                      const std::vector<Streamed>& elements) {
  return {what, set, key, interval, [elements](ElementSink& sink) {
            for (const Streamed& e : elements) {
              sink.put(bits(e.first), bits(e.last),
                       e.timeout.count() != 0 ? std::optional(e.timeout) : std::nullopt);
            }
          }};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

TEST(TransactionText, HasALineForEachUpdateInItsOrder) {
  Transaction transaction;
  transaction.updates = {
      FlushSet{"block4"},
      stream(Do::add, "block4", Field::ip_saddr, false,
             {{"192.0.2.1", "192.0.2.1"}, {"192.0.2.7", "192.0.2.7", milliseconds{90'500}}}),
      stream(Do::remove, "listed_net6", Field::ip6_saddr, true,
             {{"2001:db8::", "2001:db8::ffff"}, {"2001:db8:1::1", "2001:db8:1::4"}}),
      stream(Do::add, "adopted", Field::ct_id, false, {{"0.0.1.0", "0.0.1.0"}}),
      stream(Do::add, "listed4", Field::ip_saddr, false, {}),
  };
  Set versions;
  versions.name = "block_versions";
  versions.key = {Field::mark};
  versions.elements = {{Bytes{7, 0, 0, 0}, {}, {}, "clock 12", {}}};
  transaction.updates.emplace_back(AddElements{versions});
  EXPECT_EQ(to_text(transaction),
            "flush set inet cloudron block4\n"
            "add element inet cloudron block4 { 192.0.2.1, 192.0.2.7 timeout 1m30s500ms }\n"
            "delete element inet cloudron listed_net6 "
            "{ 2001:db8::/112, 2001:db8:1::1-2001:db8:1::4 }\n"
            "add element inet cloudron adopted { 256 }\n"
            "add element inet cloudron block_versions { 0x00000007 comment \"clock 12\" }\n");
}

TEST(TransactionText, BreaksLongLines) {
  Transaction transaction;
  transaction.updates = {
      StreamElements{Do::add, "listed4", Field::ip_saddr, false, [](ElementSink& sink) {
                       for (std::uint32_t i = 0; i < 250; ++i) sink.put(i, i);
                     }}};
  const auto lines = lines_of(to_text(transaction));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(std::ranges::count(lines[0], ','), 99);
  EXPECT_EQ(std::ranges::count(lines[2], ','), 49);
}

TEST(TransactionText, OfNothingIsEmpty) {
  const Ruleset ruleset = compile(fw::default_policy(), {});
  const Transaction transaction{7, diff(&ruleset, ruleset), {}};
  EXPECT_TRUE(transaction.empty());
  EXPECT_EQ(to_text(transaction), "");
}

TEST(TransactionText, NamesNothingThatStays) {
  fw::Policy policy = fw::default_policy();
  const Ruleset before = compile(policy, {});
  policy.open_ports.push_back({{fw::Protocol::tcp, 8443, 8443}, {}});
  const Ruleset after = compile(policy, {});
  const auto lines = lines_of(to_text({0, diff(&before, after), {}}));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("add element inet cloudron open_tcp { 8443")) << lines[0];
}

TEST(TransactionText, MakesTheTableBeforeWhatIsInIt) {
  const Ruleset ruleset = compile(fw::default_policy(), {});
  const auto lines = lines_of(to_text({0, diff(nullptr, ruleset), {}}));
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0], "add table inet cloudron");
  const auto first = [&lines](const std::string& begin) {
    return std::ranges::find_if(lines, [&](const auto& line) { return line.starts_with(begin); }) -
           lines.begin();
  };
  // Maps lead to chains and objects, rules to all of them.
  EXPECT_LT(first("add counter"), first("add chain"));
  EXPECT_LT(first("add chain"), first("add set"));
  EXPECT_LT(first("add set"), first("add rule"));
  EXPECT_LT(first("add rule"), std::ssize(lines));
  EXPECT_EQ(first("delete"), std::ssize(lines));
}

TEST(ManagedElements, AreThoseThatAreAddedToTheSet) {
  const auto elements = managed_elements({
      stream(Do::add, "listed4", Field::ip_saddr, false, {{"192.0.2.1", "192.0.2.1"}}),
      stream(Do::remove, "listed4", Field::ip_saddr, false, {{"192.0.2.2", "192.0.2.2"}}),
      stream(Do::add, "block4", Field::ip_saddr, false,
             {{"192.0.2.3", "192.0.2.3", milliseconds{2000}}}),
  });
  const auto of = [&elements](const std::string& name) {
    Set set;
    set.name = name;
    std::vector<std::string> out;
    elements(set, [&out](const std::string& element) { out.push_back(element); });
    return out;
  };
  EXPECT_EQ(of("listed4"), std::vector<std::string>{"192.0.2.1"});
  EXPECT_EQ(of("block4"), std::vector<std::string>{"192.0.2.3 timeout 2s"});
  EXPECT_EQ(of("listed6"), std::vector<std::string>{});
}

}  // namespace
}  // namespace chains
