// A real sshd and real ssh clients: the limit, and sessions that outlive every apply but no block.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <list>
#include <string>
#include <thread>

#include "tests/e2e/ssh.hpp"

namespace lab {
namespace {

BOTH_FAMILIES(RealSsh);

TEST_P(RealSsh, FiveLoginsGetInAndTheSixthDoesNot) {
  fw.apply();
  const auto begin = Clock::now();
  std::list<Process> logins;
  for (int i = 0; i < 5; ++i) logins.push_back(login(1));
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 5; }));
  Process refused = login(1, 3s);
  Process other = login(2);
  const Output output = refused.wait();
  EXPECT_TRUE((output.exit == 255 && output.out.empty()) || passed(begin, 10s))
      << to_string(output);
  EXPECT_TRUE(got_in(std::move(other))) << "another source";
  for (Process& one : logins) EXPECT_TRUE(got_in(std::move(one)));
  std::this_thread::sleep_until(begin + 11s);
  EXPECT_TRUE(got_in(login(1))) << "ten seconds later";
}

TEST_P(RealSsh, SessionsGoOnThroughAppliesAndAreCutByABlock) {
  const SshSession before = open(1);
  ASSERT_TRUE(before.works());
  fw.apply();
  EXPECT_TRUE(before.works()) << "made before the first apply";
  const SshSession after = open(2);
  const auto expect_both = [&](const std::string& when) {
    EXPECT_TRUE(before.works()) << when;
    EXPECT_TRUE(after.works()) << when;
  };
  expect_both("applied");
  fw.apply("[mail]\nenabled = true\n[ports]\ntcp = [22, 8080]\n");
  expect_both("another policy applied");
  fw.must({"block", address(9)});
  expect_both("another address blocked");
  fw.must({"unblock", address(9)});
  fw.apply("");
  expect_both("the first policy applied again");

  const Process theirs = before.start("while sleep 0.1; do echo tick; done");
  const Process others = after.start("while sleep 0.1; do echo tick; done");
  const auto heard = [](const Process& process) { return process.out_so_far().size(); };
  ASSERT_TRUE(eventually([&] { return heard(theirs) > 10 && heard(others) > 10; }));
  fw.must({"block", address(1)});
  std::this_thread::sleep_for(2s);
  const std::size_t theirs_heard = heard(theirs);
  const std::size_t others_heard = heard(others);
  EXPECT_TRUE(eventually([&] { return heard(others) > others_heard + 10; }));
  EXPECT_EQ(heard(theirs), theirs_heard) << "a blocked client hears nothing any more";
  EXPECT_FALSE(before.works());
  EXPECT_TRUE(after.works());
}

}  // namespace
}  // namespace lab
