// Files of an admin's own rules: checked, applied with the policy, and back whenever that is.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class RuleFiles : public OverFamily {
 protected:
  RuleFiles() { std::filesystem::create_directory(fw.dir() / "rules.d"); }
  void rules(const std::string& name, const std::string& text) {
    write_file(fw.dir() / ("rules.d/" + name), text);
  }
  std::string saddr(unsigned n) const {
    return fmt::format("{} saddr {}", family() == Family::ipv4 ? "ip" : "ip6",
                       to_string(client(family(), n)));
  }
  void open_9100(unsigned n) {
    rules("10-monitor.nft",
          fmt::format("# for the monitor\nchain CLOUDRON_BEFORE {{\n  {} tcp dport 9100 counter "
                      "accept comment \"monitor\"\n}}\n",
                      saddr(n)));
  }

  Server server{net.host, {80, 9100, 9103}};
};
BOTH_FAMILIES(RuleFiles);

TEST_P(RuleFiles, ComeIntoForceWithThePolicyAndAreShown) {
  open_9100(1);
  rules("20-late.nft", "add rule inet cloudron CLOUDRON_AFTER tcp dport { 9103, 9104 } accept\n");
  rules("ignored.txt", "nonsense\n");
  fw.apply("");
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 9103), Outcome::served);
  EXPECT_NE(fw.must({"show"}).out.find("monitor"), std::string::npos);
  EXPECT_NE(fw.must({"plan"}).out.find("nothing to do"), std::string::npos);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
  EXPECT_EQ(fw.run({"explain", to_string(client(family(), 1)), "9100"}).exit, 0);
  EXPECT_EQ(fw.run({"explain", to_string(client(family(), 2)), "9100", "--live"}).exit, 2);
  open_9100(2);
  EXPECT_NE(fw.run({"plan"}).out.find("monitor"), std::string::npos);
  fw.apply();
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 9100), Outcome::served);
  std::filesystem::remove(fw.dir() / "rules.d/10-monitor.nft");
  fw.apply();
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(RuleFiles, WithAnErrorChangeNothing) {
  open_9100(1);
  fw.apply("");
  rules("10-monitor.nft", "chain CLOUDRON_BEFORE {\n  tcp dport 9100 accpt\n}\n");
  for (const char* command : {"check", "plan", "apply"}) {
    const Output output = fw.run({command});
    EXPECT_NE(output.exit, 0) << command;
    EXPECT_NE((output.out + output.err).find("10-monitor.nft:2:18: error: "), std::string::npos)
        << command << to_string(output);
  }
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(RuleFiles, AreBackAfterAResetAndAtABoot) {
  open_9100(1);
  fw.apply("");
  fw.must({"reset", "--yes"});
  fw.apply();
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  fw.must({"reset", "--yes"});
  fw.run({"apply", "--boot"});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  // A boot that finds them broken takes what was last in force.
  fw.must({"reset", "--yes"});
  rules("10-monitor.nft", "nonsense\n");
  fw.run({"apply", "--boot"});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(RuleFiles, AreRepairedByTheDaemon) {
  open_9100(1);
  fw.apply("");
  const Daemon daemon(fw);
  nft(net.host, "delete table inet cloudron");
  EXPECT_TRUE(eventually([&] { return daemon.repairs() == 1; }));
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  // A file that somebody is still writing is none of its business.
  rules("10-monitor.nft", "nonsense\n");
  nft(net.host, "flush chain inet cloudron CLOUDRON_BEFORE.rules");
  EXPECT_TRUE(eventually([&] { return from(1).tcp(host(), 9100, kShort) == Outcome::served; }));
}

TEST_P(RuleFiles, OfATrialAreRolledBackWithIt) {
  open_9100(1);
  fw.apply("");
  open_9100(2);
  fw.must({"apply", "--confirm", "60s"});
  EXPECT_EQ(from(2).tcp(host(), 9100), Outcome::served);
  fw.must({"rollback"});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(RuleFiles, StandBehindWhatWasAddedByHand) {
  rules("10.nft", "chain CLOUDRON_BEFORE {\n  tcp dport 9100 accept\n}\n");
  fw.apply("");
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE " + saddr(1) + " drop");
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 9100), Outcome::served);
  fw.apply("[mail]\nenabled = true\n");
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out) << "apply leaves it alone";
}

}  // namespace
}  // namespace lab
