// Which sysctls weaken the firewall.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/settings.hpp"

#include <gtest/gtest.h>

namespace fw {
namespace {

TEST(Settings, ASmallTableIsNamedAndTheWorstComesFirst) {
  const auto all = weak_settings([](const std::string& name) -> std::optional<std::int64_t> {
    if (name.ends_with("_max")) return 8192;
    if (name.ends_with("be_liberal")) return 1;
    return {};  // this kernel has none such
  });
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "net.netfilter.nf_conntrack_tcp_be_liberal");
  EXPECT_EQ(all[1].name, "net.netfilter.nf_conntrack_max");
  EXPECT_EQ(all[1].value, 8192);
}

}  // namespace
}  // namespace fw
