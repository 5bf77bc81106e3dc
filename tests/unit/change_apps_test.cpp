// What changes when apps come, go and move is what all that they have part in says.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/change_apps.hpp"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "chains/compile.hpp"
#include "fw/effective/policy.hpp"

namespace fw {
namespace {

Ip ip(const std::string& text) { return parse_ip(text).value(); }

Policy with_apps() {
  Policy policy = default_policy();
  policy.addons = {{"mysql", {ip("172.20.0.2")}, {{Protocol::tcp, 3306, 3306}}, {}},
                   {"cache", {ip("2001:db8:20::3")}, {{Protocol::udp, 11211, 11214}}, {}}};
  policy.app_networks = {{parse_ip_range("172.20.0.0/16").value(), {}},
                         {parse_ip_range("2001:db8:20::/64").value(), {}}};
  for (int i = 0; i < 8; ++i) {
    App app;
    app.name = fmt::format("app{}", i);
    app.addresses = {ip(fmt::format("172.20.1.{}", i)), ip(fmt::format("2001:db8:20::1{}", i))};
    if (i % 2 == 0) app.addons = {"mysql"};
    if (i == 3) app.publishes = {{Protocol::tcp, 8080, 8080}};
    policy.apps.push_back(app);
  }
  return policy;
}

/// Elements and objects of all sets and both families, and nothing else, by their names.
std::vector<std::string> steps(const chains::Ruleset& before, const chains::Ruleset& after) {
  const auto described = chains::describe(&before, after, chains::Unused::remove, 100'000);
  EXPECT_EQ(described.all, described.lines.size());
  std::vector<std::string> out;
  for (const auto& line : described.lines) {
    out.push_back(fmt::format("{} {}: {}", line.sign, line.place, line.text));
  }
  std::ranges::sort(out);
  return out;
}

TEST(ChangeApps, IsTheDifferenceOfTheWholePolicies) {
  std::mt19937 random(7);
  const auto any = [&random](int below) {
    return std::uniform_int_distribution<int>(0, below - 1)(random);
  };
  int changes = 0;
  Policy before = with_apps();
  for (int i = 0; i < 200; ++i) {
    Policy after = before;
    for (int n = any(3); n < 3; ++n) {
      const auto at = static_cast<std::size_t>(any(8));
      const std::string name = fmt::format("app{}", at);
      const auto it = std::ranges::find(after.apps, name, &App::name);
      if (it == after.apps.end()) {
        App app;
        app.name = name;
        app.addresses = {ip(fmt::format("172.20.{}.{}", 20 + at, i))};
        after.apps.push_back(app);
      } else if (any(3) == 0 && it->publishes.empty() && after.apps.size() > 2) {
        after.apps.erase(it);
      } else if (any(3) == 0) {
        it->addons = {"cache"};
      } else {
        it->addresses = {ip(fmt::format("172.20.3.{}", at)),
                         ip(fmt::format("172.20.{}.{}", 10 + at, i)),
                         ip(fmt::format("2001:db8:20::{:x}{}", i + 256, at))};
      }
    }
    const auto apps = other_apps(before, after);
    ASSERT_TRUE(apps);
    const auto expected = steps(chains::compile(before, {}), chains::compile(after, {}));
    EXPECT_EQ(steps(chains::compile_of_apps(apps->before), chains::compile_of_apps(apps->after)),
              expected);
    EXPECT_LE(apps->before.apps.size(), 3u);
    changes += static_cast<int>(expected.size());
    before = after;
  }
  EXPECT_GT(changes, 1000);
}

TEST(ChangeApps, IsNoneWhenMoreThanAppsDiffers) {
  const Policy before = with_apps();
  EXPECT_TRUE(other_apps(before, before));
  const auto differs = [&before](auto change) {
    Policy after = before;
    change(after);
    return !other_apps(before, after) && !other_apps(after, before);
  };
  EXPECT_TRUE(differs([](Policy& p) { p.mail_enabled = !p.mail_enabled; }));
  EXPECT_TRUE(differs([](Policy& p) { p.app_networks.pop_back(); }));
  EXPECT_TRUE(differs([](Policy& p) { p.addons[0].addresses = {ip("172.20.0.9")}; }));
  EXPECT_TRUE(differs([](Policy& p) { p.apps.clear(); }));
  EXPECT_TRUE(differs([](Policy& p) { p.apps[3].publishes.clear(); }));
  EXPECT_TRUE(differs([](Policy& p) { p.apps.erase(p.apps.begin() + 3); }))
      << "another may publish its port, too";
}

}  // namespace
}  // namespace fw
