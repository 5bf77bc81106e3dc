// What the kernel holds, known without reading it.
#include "fw/host/known.hpp"

#include <gtest/gtest.h>

namespace fw {
namespace {

chains::Observed at(std::uint32_t generation) {
  chains::Observed out;
  out.generation = generation;
  out.ruleset.emplace();
  return out;
}

TEST(Known, IsOfTheGenerationThatOthersMade) {
  Known known;
  known.changed(5, false);
  EXPECT_FALSE(known.is_known()) << "nobody said what it holds";
  known.holds(at(7));
  known.changed(6, true);
  known.changed(7, true);
  EXPECT_TRUE(known.is_known()) << "told late, and contained in it";
  known.changed(8, false);
  known.changed(9, false);
  EXPECT_EQ(known.take()->generation, 9u);
  EXPECT_FALSE(known.is_known()) << "until it is told again";
}

TEST(Known, EndsWithAChangeOfOursOrOneThatWasMissed) {
  Known known;
  known.holds(at(7));
  known.changed(8, true);
  EXPECT_FALSE(known.is_known());
  known.holds(at(7));
  known.changed(9, false);
  EXPECT_FALSE(known.is_known()) << "8 may have been of our table";
  known.holds(at(0xffffffff));
  known.changed(1, false);
  EXPECT_FALSE(known.is_known()) << "no generation is 0: better read once too often";
  known.holds(at(7));
  known.forget();
  EXPECT_FALSE(known.is_known());
}

}  // namespace
}  // namespace fw
