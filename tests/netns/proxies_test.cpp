// [trusted] proxies: not counted on the web ports, and on no others.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "tests/lab/family.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

class Proxies : public OverFamily {
 protected:
  Proxies() {
    fw.apply(
        fmt::format("[trusted]\nproxies = [\"{}\"]\n[[limit]]\nname = \"web\"\n"
                    "ports = [80, 443]\nrate = \"5/1h\"\n[[limit]]\nname = \"ssh\"\n"
                    "ports = [22]\nrate = \"5/1h\"\n",
                    to_string(client(family(), 7))));
  }
  int served(unsigned n, std::uint16_t port) const {
    int count = 0;
    for (int i = 0; i < 12; ++i) count += from(n).tcp(host(), port) == Outcome::served;
    return count;
  }

  Server server{net.host, {22, 80, 443, 8080}};
};
BOTH_FAMILIES(Proxies);

TEST_P(Proxies, AreNotCountedOnTheWebPorts) {
  EXPECT_EQ(served(7, 80) + served(7, 443), 24);
  EXPECT_EQ(served(1, 443), 5) << "all others are";
}

TEST_P(Proxies, AreClientsLikeOthersElsewhere) {
  EXPECT_EQ(served(7, 22), 5);
  EXPECT_EQ(from(7).tcp(host(), 8080, kShort), Outcome::timed_out);
}

TEST_P(Proxies, AreNotBlockedByAccident) {
  const std::string proxy = to_string(client(family(), 7));
  const Output refused = fw.run({"block", proxy});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_NE(refused.err.find("by which other clients come"), std::string::npos) << refused.err;
  EXPECT_EQ(served(7, 443), 12);
  fw.must({"block", proxy, "--force"});
  EXPECT_EQ(from(7).tcp(host(), 443, kShort), Outcome::timed_out);
}

TEST_P(Proxies, ABlockSaysThatItDoesNotReachBehindThem) {
  const std::string bad = to_string(client(family(), 1));
  const Output told = fw.must({"block", bad});
  EXPECT_NE(told.out.find("behind the proxies of [trusted] this has no effect"), std::string::npos)
      << told.out;
  fw.policy("");
  EXPECT_EQ(fw.must({"block", bad}).out.find("behind"), std::string::npos);
}

}  // namespace
}  // namespace lab
