// Whether the kernel holds what was put there last.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/observed_generation.hpp"

#include <gtest/gtest.h>

namespace fw {
namespace {

TEST(ObservedGeneration, IsOfTheGenerationThatOthersMade) {
  ObservedGeneration known;
  known.changed(5, false);
  EXPECT_FALSE(known.generation()) << "nobody said what it holds";
  known.holds(7);
  known.changed(6, true);
  known.changed(7, true);
  EXPECT_TRUE(known.generation()) << "told late, and contained in it";
  known.changed(8, false);
  known.changed(9, false);
  EXPECT_EQ(known.generation(), 9u);
}

TEST(ObservedGeneration, EndsWithAChangeOfOursOrOneThatWasMissed) {
  ObservedGeneration known;
  known.holds(7);
  known.changed(8, true);
  EXPECT_FALSE(known.generation());
  known.holds(7);
  known.changed(9, false);
  EXPECT_FALSE(known.generation()) << "8 may have been of our table";
  known.holds(0xffffffff);
  known.changed(1, false);
  EXPECT_FALSE(known.generation()) << "no generation is 0: better read once too often";
  known.holds(7);
  known.forget();
  EXPECT_FALSE(known.generation());
}

}  // namespace
}  // namespace fw
