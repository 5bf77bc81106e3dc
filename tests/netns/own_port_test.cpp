// Who changed a ruleset: a Kernel of this process, or another's.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "chains/netlink/encode.hpp"
#include "chains/netlink/kernel.hpp"
#include "chains/netlink/ruleset_watch.hpp"
#include "tests/lab/namespace.hpp"
#include "tests/lab/nft.hpp"

namespace lab {
namespace {

/// Of the changes that are told now.
std::vector<bool> are_own(chains::RulesetWatch& watch) {
  std::vector<bool> out;
  const auto drained = watch.drain();
  if (!drained) fail(to_string(drained.error()));
  for (const auto& change : drained->changes) out.push_back(chains::is_own_port(change.port));
  return out;
}

fw::Result<void> make_table(chains::Kernel& kernel) {
  const auto generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  chains::Plan plan;
  plan.make_table = true;
  chains::Batch batch(*generation);
  chains::encode(plan, batch);
  return kernel.commit(batch);
}

class OwnPort : public testing::Test {
 protected:
  /// In a namespace of its own, of which all changes are told.
  void in(const std::function<void(chains::RulesetWatch&)>& test) const {
    host.in([&test] {
      auto watch = chains::RulesetWatch::open();
      ASSERT_TRUE(watch);
      test(*watch);
    });
  }

  Namespace host;
};

TEST_F(OwnPort, IsThatOfAKernelThatLivesOrDidLately) {
  in([this](chains::RulesetWatch& watch) {
    auto first = chains::Kernel::open();
    ASSERT_TRUE(first);
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(chains::Kernel::open());
    ASSERT_TRUE(make_table(*first));
    EXPECT_EQ(are_own(watch), std::vector{true}) << "however many came after it";
    nft(host, "delete table inet cloudron");
    EXPECT_EQ(are_own(watch), std::vector{false});
    {
      auto second = chains::Kernel::open();
      ASSERT_TRUE(second && make_table(*second));
    }
    EXPECT_EQ(are_own(watch), std::vector{true}) << "it is told behind its end";
  });
}

}  // namespace
}  // namespace lab
