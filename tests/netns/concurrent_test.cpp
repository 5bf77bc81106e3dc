// `concurrent`: connections open at the same time.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Concurrent : public OverFamily {
 protected:
  Concurrent() {
    fw.apply("[ports]\ntcp = [22, 2000, 2001]\n" +
             limit_toml("game", "2000, 2001", "outside", "ip", "10000/s", "concurrent = 3"));
  }
  Server server{net.host, {2000, 2001}};
};
BOTH_FAMILIES(Concurrent);

TEST_P(Concurrent, OnlySoManyAreOpenAtOnce) {
  std::vector<Session> open;
  for (const std::uint16_t port : PortList{2000, 2001, 2000}) {
    open.push_back(from(1).session(host(), port));
    EXPECT_TRUE(open.back().echoes());
  }
  EXPECT_EQ(from(1).tcp(host(), 2000, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 2001, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 2000), Outcome::served) << "another client is not meant";
  for (Session& session : open) EXPECT_TRUE(session.echoes());
}

TEST_P(Concurrent, WhenOneEndsTheNextIsServed) {
  std::vector<Session> open;
  for (int i = 0; i < 3; ++i) open.push_back(from(1).session(host(), 2000));
  for (Session& session : open) EXPECT_TRUE(session.echoes());
  EXPECT_EQ(from(1).tcp(host(), 2000, kShort), Outcome::timed_out);
  open.pop_back();
  EXPECT_TRUE(eventually([&] { return from(1).tcp(host(), 2000) == Outcome::served; }));
}

TEST_P(Concurrent, ManyInARowAreNoneAtOnce) {
  for (int i = 0; i < 30; ++i) {
    const bool served = eventually([&] { return from(1).tcp(host(), 2000) == Outcome::served; });
    EXPECT_TRUE(served) << "connection " << i << ", the ones before it are closed";
    if (!served) break;
  }
}

}  // namespace
}  // namespace lab
