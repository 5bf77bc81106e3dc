// apply --boot: whatever the state of the files, something comes into force, and SSH stays open.
#include <cstdio>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Boot : public testing::Test {
 protected:
  bool open(std::uint16_t port) const {
    const Client from(net.outside, client(Family::ipv4, port));
    return from.tcp(host_address(Family::ipv4), port, kShort) == Outcome::served;
  }
  /// In force, and said in the journal's way.
  Output boots() const {
    Output output = fw.run({"apply", "--boot"});
    EXPECT_NE(listing(net.host).find("table inet cloudron"), std::string::npos)
        << to_string(output);
    EXPECT_TRUE(open(22)) << "SSH stays open";
    EXPECT_FALSE(open(8081)) << "other ports are closed";
    return output;
  }
  void says(const Output& output, const std::string& what) const {
    EXPECT_NE(output.err.find(what), std::string::npos) << to_string(output);
    EXPECT_TRUE(output.err.starts_with("<3>") || output.err.starts_with("<4>"))
        << "with a priority for the journal: " << to_string(output);
  }
  /// A good policy was applied once; the machine starts again with an empty kernel.
  void applied_before() {
    fw.apply("[ports]\ntcp = [22, 80, 9000]\n");
    fw.must({"block", "192.0.2.7"});
    nft(net.host, "delete table inet cloudron\n");
  }

  Network net;
  Firewall fw{net.host};
  Server server{net.host, {22, 80, 9000, 8081}};
};

TEST_F(Boot, AGoodPolicyIsApplied) {
  applied_before();
  EXPECT_EQ(boots().exit, 0);
  EXPECT_TRUE(open(9000));
  EXPECT_EQ(elements(net.host, "block4").size(), 1u) << "blocks come back";
}

TEST_F(Boot, WithABrokenPolicyTheLastGoodOneIs) {
  applied_before();
  fw.policy("[ports]\ntcp = [22, 99999]\n");
  const Output output = boots();
  EXPECT_TRUE(open(9000));
  says(output, "last good");
  says(output, "policy.toml:2:12");
}

TEST_F(Boot, WithAMissingPolicyTheLastGoodOneIs) {
  applied_before();
  std::remove(fw.policy_path().c_str());
  const Output output = boots();
  EXPECT_TRUE(open(9000));
  says(output, "last good");
}

TEST_F(Boot, WithABrokenPolicyAndNoLastGoodTheDefaultIs) {
  fw.policy("not TOML at all [");
  const Output output = boots();
  EXPECT_TRUE(open(80));
  EXPECT_FALSE(open(9000));
  says(output, "default");
}

TEST_F(Boot, WithABrokenLastGoodTooTheDefaultIs) {
  applied_before();
  fw.policy("not TOML at all [");
  write_file(fw.state_dir() + "/last-good.toml", "also broken [");
  const Output output = boots();
  EXPECT_TRUE(open(80));
  EXPECT_FALSE(open(9000));
  says(output, "default");
}

TEST_F(Boot, WithADamagedStateDatabaseThePolicyIsApplied) {
  applied_before();
  write_file(fw.state_dir() + "/state.db", "this is no database, but it has some length to it\n");
  const Output output = boots();
  EXPECT_TRUE(open(9000));
  says(output, "state.db");
}

TEST_F(Boot, WithoutAStateFolderThePolicyIsApplied) {
  fw.policy("[ports]\ntcp = [22, 9000]\n");
  write_file(fw.state_dir(), "a file in its place\n");
  const Output output = boots();
  EXPECT_TRUE(open(9000));
  says(output, "state");
}

TEST_F(Boot, WithAnUnreadableListTheRestIsApplied) {
  fw.policy(
      "[ports]\ntcp = [22, 9000]\n[[list]]\nname = \"bad\"\nfile = \"none.txt\"\n"
      "action = \"block\"\n");
  const Output output = boots();
  EXPECT_TRUE(open(9000));
  says(output, "none.txt");
}

TEST_F(Boot, AlreadyInForceNothingIsDone) {
  fw.apply();
  const std::string before = listing(net.host);
  EXPECT_EQ(boots().exit, 0);
  EXPECT_EQ(listing(net.host).find("garbage"), before.find("garbage"));
  EXPECT_NE(fw.must({"apply", "--boot"}).out.find("nothing to do"), std::string::npos);
}

}  // namespace
}  // namespace lab
