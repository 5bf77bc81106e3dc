// Every test of traffic runs for both families: TEST_P(..., ...) and BOTH_FAMILIES(...).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "tests/lab/client.hpp"
#include "tests/lab/firewall.hpp"
#include "tests/lab/network.hpp"
#include "tests/lab/nft.hpp"
#include "tests/lab/raw.hpp"
#include "tests/lab/server.hpp"

namespace fw {
inline void PrintTo(Family family, std::ostream* out) {
  *out << (family == Family::ipv4 ? "IPv4" : "IPv6");
}
}  // namespace fw

namespace lab {

inline std::string family_name(const testing::TestParamInfo<Family>& info) {
  return info.param == Family::ipv4 ? "IPv4" : "IPv6";
}

/// A host with the firewall, not applied yet, and the outside.
class OverFamily : public testing::TestWithParam<Family> {
 protected:
  Family family() const { return GetParam(); }
  Ip host() const { return host_address(family()); }
  Client from(unsigned n) const { return {net.outside, client(family(), n)}; }

  Network net;
  Firewall fw{net.host};
};

}  // namespace lab

#define BOTH_FAMILIES(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::Values(fw::Family::ipv4, fw::Family::ipv6), \
                           lab::family_name)
