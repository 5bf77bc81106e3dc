// The wall clock is set while blocks run: they end when they were said to end, by that clock.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;

constexpr seconds kDay{86'400};
constexpr seconds kHour{3600};

/// What is blocked, and for how many seconds still; nothing: permanently.
using Left = std::map<std::string, std::optional<std::int64_t>>;

/// The same, though some time went by between the two: of a test on a busy machine, which is little
/// beside the steps of the clock.
testing::AssertionResult alike(const Left& a, const Left& b) {
  constexpr std::int64_t kSlack = 300;
  const auto text = [](const Left& left) {
    std::string out;
    for (const auto& [address, time] : left) {
      out += address + " " + (time ? std::to_string(*time) : "permanently") + "\n";
    }
    return out;
  };
  const auto one = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.has_value() == y.second.has_value() &&
           std::abs(x.second.value_or(0) - y.second.value_or(0)) <= kSlack;
  };
  if (std::ranges::equal(a, b, one)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\n" << text(a) << "but\n" << text(b);
}

class WallClock : public testing::Test {
 protected:
  WallClock() {
    fw.set_clock(0s);
    fw.apply();
  }

  void block() const {
    fw.must({"block", "198.18.0.9", "198.18.7.0/24", "2001:db8:18:9::1", "--for", "1h"});
    fw.must({"block", "198.18.0.10", "2001:db8:7::/48", "--for", "2d"});
    fw.must({"block", "198.18.0.11"});
  }
  /// What block() stated, `later` by the wall clock.
  static Left stated(seconds later) {
    Left out{{"198.18.0.11", std::nullopt}};
    for (const char* address : {"198.18.0.9", "198.18.7.0/24", "2001:db8:18:9::1"}) {
      if (later < kHour) out[address] = (kHour - later).count();
    }
    for (const char* address : {"198.18.0.10", "2001:db8:7::/48"}) {
      if (later < 2 * kDay) out[address] = (2 * kDay - later).count();
    }
    return out;
  }

  Left told() const {
    Left out;
    const json::value blocks = fw.json({"blocks"});
    for (const json::value& block : blocks.at("blocks").as_array()) {
      auto& left = out[std::string(block.at("address").as_string())];
      if (!block.at("seconds_left").is_null()) {
        left = block.at("seconds_left").to_number<std::int64_t>();
      }
    }
    return out;
  }
  Left in_kernel() const {
    Left out;
    for (const char* set : {"block4", "block_net4", "block6", "block_net6"}) {
      for (const std::string& text : elements(net.host, set)) {
        json::value element = json::parse(text);
        std::optional<std::int64_t> left;
        if (element.is_object() && element.as_object().contains("elem")) {
          left = element.at("elem").at("expires").to_number<std::int64_t>();
          element = json::value(element.at("elem").at("val"));
        }
        out[address(element)] = left;
      }
    }
    return out;
  }
  static std::string address(const json::value& value) {
    if (value.is_string()) return std::string(value.as_string());
    const json::value& prefix = value.at("prefix");
    return std::string(prefix.at("addr").as_string()) + "/" +
           std::to_string(prefix.at("len").to_number<int>());
  }
  void expect_as_stated(seconds later, const std::string& when) const {
    EXPECT_TRUE(alike(told(), stated(later))) << when;
    EXPECT_TRUE(alike(in_kernel(), stated(later))) << when;
    EXPECT_EQ(fw.run({"verify"}).exit, 0) << when;
  }

  Network net;
  Firewall fw{net.host};
};

TEST_F(WallClock, SetUnderTheDaemonEndsBlocksAsStated) {
  const Daemon daemon(fw);
  block();
  expect_as_stated(0s, "at first");
  for (const seconds ahead : {kDay, -kDay, 0s}) {
    fw.set_clock(ahead);
    EXPECT_TRUE(alike(told(), stated(ahead)));
    EXPECT_TRUE(eventually([&] { return bool(alike(in_kernel(), stated(ahead))); }));
    expect_as_stated(ahead, std::to_string(ahead.count()));
  }
  EXPECT_EQ(daemon.repairs(), 0) << "it is nobody's drift";
  const std::string said = fw.must({"activity", "--what", "clock"}).out;
  EXPECT_NE(said.find("the clock was set forward by 1d"), std::string::npos) << said;
  EXPECT_NE(said.find("the clock was set back by 2d"), std::string::npos) << said;
}

TEST_F(WallClock, ABlockAfterAStepMovesTheOthersToo) {
  const Daemon daemon(fw);
  block();
  fw.set_clock(-kDay);
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", {"198.18.0.12"}}, {"for", "1h"}}).at("ok"),
            true);
  Left wanted = stated(-kDay);
  wanted["198.18.0.12"] = kHour.count();
  EXPECT_TRUE(alike(in_kernel(), wanted));
  EXPECT_TRUE(alike(told(), wanted));
}

TEST_F(WallClock, SetWhileTheDaemonIsDownIsSeenAtItsStart) {
  block();
  { const Daemon daemon(fw); }
  fw.set_clock(kDay);
  const Daemon daemon(fw);
  EXPECT_TRUE(eventually([&] { return bool(alike(in_kernel(), stated(kDay))); }));
  expect_as_stated(kDay, "after its start");
  EXPECT_EQ(daemon.repairs(), 0);
}

TEST_F(WallClock, SetItMovesNothingThatHasNoTimer) {
  block();
  Process monitor(net.host, {"nft", "monitor"});
  const auto heard = [&](const char* what) {
    return monitor.out_so_far().find(what) != std::string::npos;
  };
  ASSERT_TRUE(eventually([&] {
    nft(net.host, "add table inet hello");
    nft(net.host, "delete table inet hello");
    return heard("hello");
  }));
  fw.set_clock(kDay);
  fw.apply();
  nft(net.host, "add table inet goodbye");
  ASSERT_TRUE(eventually([&] { return heard("goodbye"); }));
  EXPECT_TRUE(heard("198.18.0.10"));
  EXPECT_FALSE(heard("198.18.0.11")) << monitor.out_so_far();
  expect_as_stated(kDay, "after the step");
}

TEST_F(WallClock, SetWithoutADaemonIsSeenByEachApply) {
  block();
  for (const seconds ahead : {kDay, -kDay}) {
    fw.set_clock(ahead);
    EXPECT_EQ(fw.run({"verify"}).exit, 2) << "the kernel still goes by the clock of before";
    fw.apply();
    expect_as_stated(ahead, "apply");
    EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
  }
  fw.set_clock(0s);
  fw.must({"apply", "--boot"});
  expect_as_stated(0s, "a boot with the table there");
  nft(net.host, "delete table inet cloudron");
  fw.set_clock(kDay);
  fw.must({"apply", "--boot"});
  expect_as_stated(kDay, "a boot");
}

TEST_F(WallClock, AClockThatIsNotSetLeavesTheTimersAlone) {
  block();
  const std::string before = listing(net.host, "set inet cloudron block_versions");
  fw.must({"panic", "on", "--force"});
  fw.must({"panic", "off"});
  EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
  EXPECT_EQ(listing(net.host, "set inet cloudron block_versions"), before);
}

}  // namespace
}  // namespace lab
