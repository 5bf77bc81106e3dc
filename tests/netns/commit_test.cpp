// Commits beside other programs that change rules, and transactions as nft makes them of their
// text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "chains/compile.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"
#include "tests/lab/namespace.hpp"
#include "tests/lab/nft.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
using fw::Result;

/// Makes our table, or what else a test says, at the generation that it was told.
class Commit : public testing::Test {
 protected:
  /// In a namespace of its own; `before` comes between reading the generation and the commit.
  Result<std::optional<std::uint32_t>> make_table(const std::function<void()>& before,
                                                  const chains::AroundLarge& around = {}) {
    Result<std::optional<std::uint32_t>> made;
    host.in([&] {
      auto kernel = chains::Kernel::open();
      if (!kernel) fail(to_string(kernel.error()));
      const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
        ++attempts;
        chains::Transaction transaction{kernel->generation().value(), {}, {}};
        transaction.plan.make_table = true;
        before();
        return chains::Attempt{chains::encode(transaction), more > 0 && more-- > 0};
      };
      made = chains::commit_with_retry(*kernel, attempt, around);
      generation = kernel->generation().value();
    });
    return made;
  }

  Namespace host;
  int attempts = 0;
  int more = 0;
  std::uint32_t generation = 0;
};

TEST_F(Commit, ReturnsTheGenerationThatItMade) {
  const auto made = make_table([] {});
  ASSERT_TRUE(made) << to_string(made.error());
  EXPECT_EQ(*made, generation);
  EXPECT_EQ(attempts, 1);
}

TEST_F(Commit, IsMadeAgainWhenAnotherProgramChangedSomething) {
  int others = 3;
  const auto made = make_table([&] {
    if (others-- > 0) nft(host, "add table inet other; delete table inet other");
  });
  ASSERT_TRUE(made) << to_string(made.error());
  EXPECT_EQ(*made, generation);
  EXPECT_EQ(attempts, 4);
}

TEST_F(Commit, GivesUpWhenThatNeverEnds) {
  const auto made = make_table([&] { nft(host, "add table inet other; delete table inet other"); });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, fw::ErrorCode::kernel_busy);
  EXPECT_EQ(attempts, fw::kApplyTries);
  EXPECT_EQ(listing(host), "");
}

TEST_F(Commit, GoesOnWhenThereIsMoreToDo) {
  more = 1;
  const auto made = make_table([] {});
  ASSERT_TRUE(made) << to_string(made.error());
  EXPECT_EQ(attempts, 2);
}

TEST_F(Commit, EndsWhenThereIsMoreForEver) {
  more = 1000;
  const auto made = make_table([] {});
  ASSERT_FALSE(made);
  EXPECT_EQ(attempts, fw::kApplyTries);
}

TEST_F(Commit, IsNoTransactionWhenNothingIsToBeDone) {
  host.in([] {
    auto kernel = chains::Kernel::open();
    ASSERT_TRUE(kernel);
    const auto before = kernel->generation();
    const auto made = chains::commit_with_retry(
        *kernel, []() -> Result<std::optional<chains::Attempt>> { return std::nullopt; });
    ASSERT_TRUE(made);
    EXPECT_FALSE(*made);
    EXPECT_EQ(kernel->generation(), before);
  });
}

TEST_F(Commit, SaysWhenALargeOneBeginsAndEnds) {
  std::string told;
  const chains::AroundLarge around{[&] { told += "begins "; }, [&] { told += "ends "; }};
  ASSERT_TRUE(make_table([] {}, around));
  EXPECT_EQ(told, "") << "it is small";
  host.in([&] {
    auto kernel = chains::Kernel::open();
    ASSERT_TRUE(kernel);
    const chains::Ruleset rules = chains::compile(fw::default_policy(), {});
    const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
      chains::Transaction transaction{
          kernel->generation().value(), chains::diff(nullptr, rules), {}};
      transaction.updates = {chains::StreamElements{chains::StreamElements::Do::add,
                                                    chains::kBlockSets[0], chains::Field::ip_saddr,
                                                    false, [](chains::ElementSink& sink) {
                                                      for (std::uint32_t i = 0; i < 20'000; ++i)
                                                        sink.put(0x2d000000 + i, 0x2d000000 + i);
                                                    }}};
      return chains::Attempt{chains::encode(transaction)};
    };
    const auto made = chains::commit_with_retry(*kernel, attempt, around);
    ASSERT_TRUE(made) << to_string(made.error());
  });
  EXPECT_EQ(told, "begins ends ");
  EXPECT_EQ(elements(host, chains::kBlockSets[0]).size(), 20'000u);
}

/// The rules of each remembered policy, in the order of their folders.
std::vector<std::pair<std::string, chains::Ruleset>> remembered() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(CLOUDRON_FW_TESTS "/golden")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  std::vector<std::pair<std::string, chains::Ruleset>> out;
  for (const fs::path& folder : folders) {
    std::ostringstream text;
    text << std::ifstream(folder / "policy.toml").rdbuf();
    const fw::Parsed parsed = fw::parse_policy(text.str(), folder / "policy.toml");
    out.emplace_back(folder.filename(), chains::compile(parsed.policy, {}));
  }
  return out;
}

std::string both_tables(const Namespace& where) {
  const std::string bridge =
      listing(where).find("table bridge cloudron") != std::string::npos ? "bridge cloudron" : "";
  return rules_only(where) + (bridge.empty() ? "" : rules_only(where, bridge));
}

TEST(TransactionText, IsToNftWhatTheTransactionIsToTheKernel) {
  const auto all = remembered();
  ASSERT_GT(all.size(), 10u);
  Namespace by_text;
  Namespace by_netlink;
  const chains::Ruleset* before = nullptr;
  for (std::size_t i = 0; i <= all.size(); ++i) {  // and back to the first
    const auto& [name, after] = all[i % all.size()];
    nft(by_text, chains::to_text({0, chains::diff(before, after), {}}));
    by_netlink.in([&, &rules = after] {
      auto kernel = chains::Kernel::open();
      ASSERT_TRUE(kernel);
      auto batch = chains::encode({kernel->generation().value(), chains::diff(before, rules), {}});
      const auto done = kernel->commit(batch);
      ASSERT_TRUE(done) << to_string(done.error());
    });
    EXPECT_EQ(both_tables(by_text), both_tables(by_netlink)) << "to " << name;
    before = &after;
  }
}

}  // namespace
}  // namespace lab
