// What the kernel's notes say of lists, labels and blocks, and of what they do not speak.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/manifest.hpp"

#include <string>

#include <gtest/gtest.h>

#include "chains/compile.hpp"
#include "fw/effective/policy.hpp"

namespace fw {
namespace {

using std::chrono::milliseconds;

/// A table whose manifest has these notes, under the keys from 1 on.
chains::Ruleset noting(const std::vector<std::string>& notes) {
  chains::Set set;
  set.name = chains::kManifest;
  set.key = {chains::Field::mark};
  for (std::uint8_t key = 1; const std::string& note : notes)
    set.elements.push_back({chains::Bytes{key++, 0, 0, 0}, {}, {}, note, {}});
  chains::Ruleset ruleset;
  ruleset.sets.push_back(set);
  return ruleset;
}

TEST(Manifest, NamesListsAndTheLabel) {
  const auto table = noting({"lists aa bb label 96", "list office cc", "list home dd"});
  EXPECT_EQ(noted_lists(&table, ListAction::block), "aa");
  EXPECT_EQ(noted_lists(&table, ListAction::allow), "bb");
  EXPECT_EQ(noted_list(&table, "home"), "dd");
  EXPECT_EQ(noted_list(&table, "away"), "");
  EXPECT_EQ(noted_label(&table), 96);
}

TEST(Manifest, IsWhatTheCompilerWrites) {
  chains::HostFacts facts;
  facts.block_lists.digest = "aa";
  facts.allow_lists.digest = "bb";
  facts.source_lists = {{"office", "cc"}};
  const chains::Ruleset table = chains::compile(default_policy(), facts);
  EXPECT_EQ(noted_lists(&table, ListAction::block), "aa");
  EXPECT_EQ(noted_lists(&table, ListAction::allow), "bb");
  EXPECT_EQ(noted_list(&table, "office"), "cc");
  EXPECT_EQ(noted_label(&table), default_policy().label_bit);
}

TEST(Manifest, ThatIsNotThereOrShortSaysNothing) {
  const chains::Ruleset empty;
  const auto cut = noting({"lists aa", "list office"});
  for (const chains::Ruleset* table :
       {static_cast<const chains::Ruleset*>(nullptr), &empty, &cut}) {
    EXPECT_EQ(noted_lists(table, ListAction::allow), "");
    EXPECT_EQ(noted_list(table, "office"), "");
    EXPECT_EQ(noted_label(table), std::nullopt);
  }
  for (const char* label : {"lists aa bb label", "lists aa bb label x", "lists aa bb label 999"}) {
    const auto wrong = noting({label});
    EXPECT_EQ(noted_label(&wrong), std::nullopt) << label;
  }
}

TEST(Manifest, OfBlocksTheGreatestVersionCounts) {
  const WallTime began{milliseconds{1'000'000}};
  auto versions = note_blocks(9, began).set.elements;
  versions.push_back(note_blocks(8, began + milliseconds{5000}).set.elements.front());
  const ObservedBlocks held = observed_blocks(versions);
  EXPECT_EQ(held, (ObservedBlocks{9, began}));
  EXPECT_TRUE(held.are(9, began));
  EXPECT_FALSE(held.are(8, began));
  EXPECT_FALSE(held.are(9, began + milliseconds{5000})) << "the clock was set";
  EXPECT_EQ(observed_blocks({}), ObservedBlocks{});
}

}  // namespace
}  // namespace fw
