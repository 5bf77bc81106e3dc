// What lists and blocks put into the kernel's sets, and who is among them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/set_contents.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/manifest.hpp"
#include "fw/host/membership.hpp"

namespace fw {
namespace {

namespace fs = std::filesystem;

/// A policy with two lists and a store, in a folder that is gone afterwards.
class SetContentsTest : public testing::Test {
 protected:
  SetContentsTest()
      : folder_(make_folder()), lists_(folder_), store_(Store::open(folder_).value()) {
    policy_ = default_policy();
    policy_.lists = {{"bad", folder_ + "/bad", ListAction::block, {}},
                     {"good", folder_ + "/good", ListAction::allow, {}}};
    write("bad", "45.1.1.1\n45.7.0.0/16\n2a01:100::/48\n2a01:200::1\n");
    write("good", "8.8.8.8\n");
  }
  ~SetContentsTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  void block(const std::string& range, std::optional<WallTime> until = {}) {
    const Block row{parse_ip_range(range).value(), until, "", "admin", wall_clock()};
    ASSERT_TRUE(store_.block({row}, wall_clock()));
  }
  Target target() { return compile_target(policy_, lists_, &store_, {}).value(); }

  /// Takes a kernel that holds `before` (with its blocks since `began`) to `after`, as nft text.
  std::string change(const Target* before, WallTime began, const Target& after) {
    chains::Observed observed;
    if (before != nullptr) {
      observed.ruleset = before->ruleset;
      observed.block_versions = note_blocks(before->facts.block_generation, began).set.elements;
    }
    const chains::Plan plan = chains::diff(observed.table(), after.ruleset);
    contents_ = plan_contents(observed, after, plan, lists_, &store_).value();
    return to_text(chains::Transaction{0, {}, contents_.updates});
  }
  static WallTime began_now() { return read_clocks().began; }

  static std::string make_folder() {
    std::string name = (fs::temp_directory_path() / "set_contents_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return name;
  }

  std::string folder_;
  Lists lists_;
  Store store_;
  Policy policy_;
  SetContents contents_;
};

TEST_F(SetContentsTest, ANewTableGetsAll) {
  block("203.0.113.9");
  block("198.51.100.0/24");
  const std::string text = change(nullptr, {}, target());
  for (const char* line : {"add element inet cloudron listed4 { 45.1.1.1 }\n",
                           "add element inet cloudron listed_net4 { 45.7.0.0/16 }\n",
                           "add element inet cloudron listed6 { 2a01:200::1 }\n",
                           "add element inet cloudron listed_net6 { 2a01:100::/48 }\n",
                           "add element inet cloudron allowed4 { 8.8.8.8 }\n",
                           "add element inet cloudron block4 { 203.0.113.9 }\n",
                           "add element inet cloudron block_net4 { 198.51.100.0/24 }\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  ASSERT_EQ(contents_.summary.size(), 3u);
  EXPECT_TRUE(contents_.summary[0].whole);
  EXPECT_EQ(contents_.summary[0].added, 4u);
  EXPECT_EQ(contents_.summary[2].what, "blocks");
  EXPECT_EQ(contents_.summary[2].added, 2u);
}

TEST_F(SetContentsTest, WhatIsHeldIsNotSentAgain) {
  block("203.0.113.9");
  const Target now = target();
  EXPECT_EQ(change(&now, began_now(), now), "");
  EXPECT_TRUE(contents_.summary.empty());
}

TEST_F(SetContentsTest, OfAListOnlyTheDifferenceIsSent) {
  const Target before = target();
  write("bad", "45.1.1.2\n45.7.0.0/16\n2a01:100::/48\n2a01:200::1\n");
  const Target after = target();
  EXPECT_EQ(change(&before, began_now(), after),
            "delete element inet cloudron listed4 { 45.1.1.1 }\n"
            "add element inet cloudron listed4 { 45.1.1.2 }\n");
}

TEST_F(SetContentsTest, AnUnknownListIsReplacedAsAWhole) {
  const Target after = target();
  Target before = after;
  for (chains::Set& set : before.ruleset.sets) {
    if (set.name == chains::kManifest)
      set.elements[0].comment = "lists 0123456789abcdef0123456789abcdef - label 0";
  }
  const std::string text = change(&before, began_now(), after);
  EXPECT_TRUE(
      text.starts_with("flush set inet cloudron listed4\n"
                       "add element inet cloudron listed4 { 45.1.1.1 }\n"))
      << text;
  EXPECT_TRUE(contents_.summary.at(0).whole);
}

TEST_F(SetContentsTest, BlocksOfAnotherVersionAreReplaced) {
  block("203.0.113.9");
  const Target before = target();
  block("203.0.113.10");
  const std::string text = change(&before, began_now(), target());
  EXPECT_NE(text.find("flush set inet cloudron block4\n"
                      "add element inet cloudron block4 { 203.0.113.9, 203.0.113.10 }\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("flush set inet cloudron block_versions\n"), std::string::npos);
}

TEST_F(SetContentsTest, WhenTheClockWasSetThoseWithAnEndAreTimedAgain) {
  block("203.0.113.9");
  block("203.0.113.10", wall_clock() + std::chrono::hours(1));
  const Target now = target();
  const std::string text = change(&now, began_now() - std::chrono::minutes(5), now);
  EXPECT_EQ(text.find("203.0.113.9"), std::string::npos) << text;
  EXPECT_NE(text.find("delete element inet cloudron block4 { 203.0.113.10"), std::string::npos);
  EXPECT_NEAR(static_cast<double>(contents_.clock_step.count()), 300'000, 1'000);
}

TEST_F(SetContentsTest, MembershipAnswersAsTheSetsWould) {
  block("203.0.113.9");
  block("198.51.100.0/24");
  const Target now = target();
  Membership membership(now, lists_, &store_);
  const auto holds = [&](const std::string& name, bool interval, const std::string& ip) {
    chains::Set set;
    set.name = name;
    set.interval = interval;
    return membership(set, to_bytes(parse_ip(ip).value()));
  };
  EXPECT_EQ(holds("listed4", false, "45.1.1.1"), true);
  EXPECT_EQ(holds("listed_net4", true, "45.1.1.1"), false) << "a single address is in the other";
  EXPECT_EQ(holds("listed_net4", true, "45.7.3.4"), true);
  EXPECT_EQ(holds("listed4", false, "45.7.3.4"), false);
  EXPECT_EQ(holds("listed6", false, "2a01:200::1"), true);
  EXPECT_EQ(holds("allowed4", false, "8.8.8.8"), true);
  EXPECT_EQ(holds("block4", false, "203.0.113.9"), true);
  EXPECT_EQ(holds("block_net4", true, "203.0.113.9"), false);
  EXPECT_EQ(holds("block_net4", true, "198.51.100.200"), true);
  EXPECT_EQ(holds("open_tcp", false, "8.8.8.8"), std::nullopt) << "it is none of lists and blocks";
  EXPECT_TRUE(membership.is_blocked(parse_ip("45.7.0.1").value()));
  EXPECT_TRUE(membership.is_blocked(parse_ip("198.51.100.1").value()));
  EXPECT_FALSE(membership.is_blocked(parse_ip("8.8.8.8").value()));
}

TEST_F(SetContentsTest, WithoutAStoreNobodyIsKnownToBeBlocked) {
  const Target now = target();
  chains::Set set;
  set.name = "block4";
  const chains::Bytes key = to_bytes(parse_ip("203.0.113.9").value());
  Membership membership(now, lists_, nullptr);
  EXPECT_EQ(membership(set, key), std::nullopt);
  ASSERT_TRUE(membership.read());
  EXPECT_EQ(membership(set, key), false);
}

TEST_F(SetContentsTest, MembershipOutlivesItsListsWhenItWasRead) {
  block("203.0.113.9");
  const Target now = target();
  std::optional<Lists> lists(folder_);
  ASSERT_TRUE(lists->resolve(policy_).reports.size() == 2);
  Membership membership(now, *lists, &store_);
  ASSERT_TRUE(membership.read());
  lists.reset();
  EXPECT_TRUE(membership.is_blocked(parse_ip("45.1.1.1").value()));
  EXPECT_TRUE(membership.is_blocked(parse_ip("203.0.113.9").value()));
}

TEST_F(SetContentsTest, AListThatCannotBeReadIsNotKnown) {
  Target now = target();
  now.lists.block = parse_digest("0123456789abcdef0123456789abcdef").value();
  Membership membership(now, lists_, &store_);
  chains::Set set;
  set.name = "listed4";
  EXPECT_EQ(membership(set, to_bytes(parse_ip("45.1.1.1").value())), std::nullopt);
  EXPECT_FALSE(membership.read());
}

}  // namespace
}  // namespace fw
