// The activity log as the commands write and read it, and what its troubles do to them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <filesystem>

#include <boost/json.hpp>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class ActivityCommand : public testing::Test {
 protected:
  std::vector<std::string> kinds(std::vector<std::string> words = {}) const {
    words.insert(words.begin(), "activity");
    std::vector<std::string> out;
    const json::value rows = fw.json(words);
    for (const json::value& row : rows.as_array()) {
      out.emplace_back(row.at("what").as_string());
    }
    return out;
  }
  /// Is it told by the kernel when files change?
  static bool watches(const Process& process) {
    const std::string files = "/proc/" + std::to_string(process.id()) + "/fdinfo";
    return std::ranges::any_of(fs::directory_iterator(files), [](const auto& file) {
      return read_file(file.path()).find("inotify wd:") != std::string::npos;
    });
  }
  std::string log() const { return fw.state_dir() + "/activity.db"; }

  Network net;
  Firewall fw{net.host};
};

using Words = std::vector<std::string>;

TEST_F(ActivityCommand, WhatChangedSomethingIsNoted) {
  fw.apply();
  fw.apply();  // nothing to do
  fw.must({"apply", "--dry-run"});
  fw.must({"block", "203.0.113.7", "2001:db8:7::/48", "--reason", "guess\x1b[31ming"});
  fw.must({"unblock", "203.0.113.7"});
  fw.run({"unblock", "203.0.113.7"});  // was not blocked
  fw.run({"block", "127.0.0.1"});      // refused
  fw.run({"block", "203.0.113.300"});  // no address
  fw.apply("[ports]\ntcp = [22, 8080]\n");
  fw.must({"reset", "--yes"});
  fw.must({"reset", "--yes"});  // nothing to do
  EXPECT_EQ(kinds(), (Words{"apply", "block", "unblock", "apply", "reset"}));
  EXPECT_EQ(kinds({"--what", "block"}), (Words{"block"}));
  EXPECT_EQ(kinds({"--what", "panic"}), (Words{}));

  const json::value rows = fw.json({"activity"});
  const json::value& block = rows.at(1);
  EXPECT_EQ(block.at("summary"), "203.0.113.7, 2001:db8:7::/48 permanently: guess\\u001b[31ming");
  EXPECT_EQ(block.at("details").at("addresses"), json::value({"203.0.113.7", "2001:db8:7::/48"}));
  const json::value& apply = rows.at(3);
  EXPECT_GT(apply.at("details").at("lines").to_number<int>(), 0);
  EXPECT_NE(json::serialize(apply.at("details").at("first_lines")).find("8080"), std::string::npos)
      << apply;
  EXPECT_EQ(apply.at("user"), "root");

  const Output text = fw.must({"activity"});
  EXPECT_NE(text.out.find("203.0.113.7, 2001:db8:7::/48 permanently: guess\\u001b[31ming\n"),
            std::string::npos)
      << text.out;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 5);
  EXPECT_EQ(fw.run({"activity", "--since", "1x"}).exit, 64);
  const Output slip = fw.run({"activity", "--what", "blok"});
  EXPECT_EQ(slip.exit, 64);
  EXPECT_NE(slip.err.find("did you mean \"block\"?"), std::string::npos) << to_string(slip);
}

TEST_F(ActivityCommand, AnApplyWithNothingToDoDoesNotOpenIt) {
  fw.apply();
  fs::remove(log());
  fw.apply();
  EXPECT_FALSE(fs::exists(log()));
  fw.must({"block", "203.0.113.7"});
  EXPECT_TRUE(fs::exists(log()));
}

TEST_F(ActivityCommand, FollowersSeeEachRowAsItIsWritten) {
  fw.apply();
  const Process json_lines(net.host, fw.command({"activity", "--follow", "--json"}));
  const Process text(net.host, fw.command({"activity", "--follow", "--what", "block"}));
  const auto lines = [](const Process& process) {
    const std::string out = process.out_so_far();
    return std::count(out.begin(), out.end(), '\n');
  };
  ASSERT_TRUE(eventually([&] { return lines(json_lines) == 1; }));
  EXPECT_TRUE(watches(json_lines)) << "not only a look now and then";
  for (int i = 1; i <= 20; ++i) {
    fw.must({"block", "198.51.100." + std::to_string(i)});
    ASSERT_TRUE(eventually([&] { return lines(json_lines) == 1 + i && lines(text) == i; }));
  }
  std::istringstream out(json_lines.out_so_far());
  std::int64_t last = 0;
  for (std::string line; std::getline(out, line);) {
    const std::int64_t id = json::parse(line).at("id").as_int64();
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST_F(ActivityCommand, ItsDamageIsAWarningAndNothingElse) {
  fw.apply();
  fs::remove(log() + "-wal");
  write_file(log(), std::string(10'000, 'x'));
  for (const Words& words :
       {Words{"block", "203.0.113.7"}, {"unblock", "203.0.113.7"}, {"reset", "--yes"}, {"apply"}}) {
    const Output output = fw.must(words);
    EXPECT_NE(output.err.find("warning: not written to the activity log"), std::string::npos)
        << to_string(output);
    EXPECT_NE(output.err.find("activity.db is damaged: move it away"), std::string::npos)
        << to_string(output);
  }
  EXPECT_EQ(fw.run({"activity"}).exit, 1);
  fs::remove(log());
  fw.must({"block", "203.0.113.7"});
  EXPECT_EQ(kinds(), (Words{"block"}));
}

TEST_F(ActivityCommand, AFullDiskStopsTheLogNotTheBlock) {
  // The log alone is on a file system that is full.
  fw.apply();
  const std::string there = fw.dir() / "full";
  fs::create_directory(there);
  const std::string script = "mount -t tmpfs -o size=64k none " + there + " && cp " + log() + " " +
                             there + "/activity.db && rm -f " + log() + "* && ln -s " + there +
                             "/activity.db " + log() + "; cat /dev/zero > " + there +
                             "/fill 2>/dev/null; exec \"$@\"";
  const Output output =
      fw.run_by({"unshare", "-m", "sh", "-c", script, "sh"}, {"block", "203.0.113.7"});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_NE(output.err.find("warning: not written to the activity log"), std::string::npos)
      << to_string(output);
  EXPECT_EQ(elements(net.host, "block4").size(), 1u);
}

}  // namespace
}  // namespace lab
