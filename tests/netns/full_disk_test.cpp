// The file system of the state folder is full while the daemon runs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <sched.h>
#include <sys/mount.h>

#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class FullDisk : public OverFamily {
 protected:
  FullDisk() {
    // The mount is seen by this test and by what it starts, and goes with them.
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      fail("cannot have mounts of its own");
    }
    fs::create_directory(fw.state_dir());
    if (::mount("lab", fw.state_dir().c_str(), "tmpfs", 0, "size=2m,mode=0700") != 0) {
      fail("cannot mount a small file system");
    }
  }
  ~FullDisk() override { ::umount2(fw.state_dir().c_str(), MNT_DETACH); }

  std::string ballast() const { return fw.state_dir() + "/ballast"; }
  /// To the last byte; then blocks are stored until nothing goes into what the database has left.
  void fill(const Daemon& daemon) {
    std::ofstream out(ballast(), std::ios::binary | std::ios::app);
    const std::string page(4096, 'x');
    while (out.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) {
    }
    for (int i = 0; i < 1000; ++i) {
      refusal_ = block(daemon, 1000 + i);
      if (refusal_.at("ok") == json::value(false)) return;
      ++stored_;
    }
    errno = 0;
    fail("1000 blocks still fit");
  }
  void make_room() const { fs::remove(ballast()); }

  std::string address(int n) const { return to_string(client(family(), static_cast<unsigned>(n))); }
  json::object block(const Daemon& daemon, int n) const {
    return daemon.ask({{"do", "block"}, {"addresses", {address(n)}}, {"for", "1h"}});
  }
  std::size_t in_kernel() const {
    try {
      return elements(net.host, family() == Family::ipv4 ? "block4" : "block6").size();
    } catch (const std::runtime_error&) {
      return 0;  // there is no table
    }
  }

  json::object refusal_;
  std::size_t stored_ = 0;
};
BOTH_FAMILIES(FullDisk);

TEST_P(FullDisk, ABlockIsRefusedWithTheReasonAndAllElseGoesOn) {
  fw.apply();
  const Daemon daemon(fw);
  EXPECT_EQ(block(daemon, 1).at("ok"), true);
  const std::string rules = rules_only(net.host);
  fill(daemon);
  const std::string reason(refusal_.at("error").at("what").as_string());
  EXPECT_NE(reason.find("full"), std::string::npos) << reason;
  EXPECT_NE(reason.find(fw.state_dir()), std::string::npos) << reason;
  EXPECT_EQ(in_kernel(), 1 + stored_) << "what was answered is in force, what was refused is not";
  EXPECT_EQ(daemon.ask("blocks").at("all"), 1 + stored_);
  const Output verify = fw.run({"verify"});
  EXPECT_EQ(verify.exit, 0) << to_string(verify);

  nft(net.host, "flush ruleset");
  EXPECT_TRUE(eventually([&] { return in_kernel() == 1 + stored_; }))
      << in_kernel() << daemon.process().err_so_far();
  EXPECT_TRUE(eventually([&] { return daemon.repairs() == 1; }));
  EXPECT_EQ(fw.run({"verify"}).exit, 0);

  make_room();
  EXPECT_EQ(block(daemon, 2).at("ok"), true);
  EXPECT_EQ(in_kernel(), 2 + stored_);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
}

TEST_P(FullDisk, ACommandSaysTheReasonToo) {
  fw.apply();
  const std::string rules = rules_only(net.host);
  {
    const Daemon daemon(fw);
    fill(daemon);
    const Output by_daemon = fw.run({"--socket", daemon.path(), "block", address(2)});
    EXPECT_EQ(by_daemon.exit, 1) << to_string(by_daemon);
    EXPECT_NE(by_daemon.err.find("full"), std::string::npos) << to_string(by_daemon);
  }
  const Output alone = fw.run({"block", address(2)});
  EXPECT_EQ(alone.exit, 1) << to_string(alone);
  EXPECT_NE(alone.err.find("full"), std::string::npos) << to_string(alone);
  EXPECT_EQ(in_kernel(), stored_);
  make_room();
  EXPECT_EQ(fw.run({"block", address(2)}).exit, 0);
  EXPECT_EQ(in_kernel(), 1 + stored_);
}

TEST_P(FullDisk, AnOffenderIsStillLimitedAndIsBlockedWhenThereIsRoom) {
  const Server server(net.host, {22});
  fw.apply("[[offender]]\nafter = \"20 refused/10m\"\nblock = \"1h\"\n");
  const Daemon daemon(fw);
  fill(daemon);
  EXPECT_LE(served(from(1).tries(host(), {22}, {35, 20ms, 2s})), 5u);
  EXPECT_TRUE(eventually([&] {
    return daemon.process().err_so_far().find("is not blocked: ") != std::string::npos;
  })) << daemon.process().err_so_far();
  EXPECT_EQ(in_kernel(), stored_);
  make_room();
  EXPECT_TRUE(eventually(
      [&] {
        (void)from(1).tries(host(), {22}, {35, 20ms, 1s});
        return daemon.ask("counts").at("blocks").as_object().contains("offender");
      },
      40s))
      << daemon.process().err_so_far();
  const json::object rows = daemon.ask({{"do", "activity"}, {"what", "offender"}});
  EXPECT_EQ(rows.at("activity").at(0).at("details").at("times"), 1) << "what failed was no block";
}

}  // namespace
}  // namespace lab
