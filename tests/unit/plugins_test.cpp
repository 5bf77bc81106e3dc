// The seam of plugins: the table, the options as data, requests and reports.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fw/effective/policy.hpp"
#include "fw/plugins/table/table.hpp"

namespace fw {
namespace {

using std::string;
using testing::HasSubstr;

const Plugin& plugin(std::string_view name) {
  const auto all = plugins();
  const auto found = std::ranges::find(all, name, &Plugin::name);
  if (found == all.end()) throw std::out_of_range(string(name));
  return *found;
}

Result<std::vector<TextFile>> profiles(const string& text, const string& app) {
  const Parsed parsed = parse_policy(text, "p");
  EXPECT_TRUE(parsed.ok());
  const OptionValues options{{"APP", app}};
  return plugin("sandbox").render.run({parsed.policy, options});
}

constexpr const char* kTwoApps =
    "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.0.2\"]\n"
    "[[app]]\nname = \"blog\"\naddresses = [\"172.18.0.3\"]\n";

TEST(Plugins, AreNamedOnceAndHaveSomethingToDo) {
  std::set<string> names;
  std::set<string> rendered;
  for (const Plugin& each : plugins()) {
    EXPECT_TRUE(names.emplace(each.name).second) << each.name;
    EXPECT_TRUE(each.audit.run != nullptr || each.render.run != nullptr) << each.name;
    if (each.audit.run != nullptr) {
      EXPECT_FALSE(each.audit.about.empty()) << each.name;
    }
    if (each.render.run != nullptr) {
      EXPECT_TRUE(rendered.emplace(each.render.name).second) << each.render.name;
    }
  }
}

TEST(Plugins, DeclareEachOptionOnceAndWithHelp) {
  for (const Plugin& each : plugins()) {
    for (const PluginOptions options : {each.audit.options, each.render.options}) {
      std::set<string> names;
      std::set<string> rendered;
      for (const PluginOption& option : options) {
        EXPECT_TRUE(names.emplace(option.name).second) << each.name << " " << option.name;
        EXPECT_FALSE(option.help.empty()) << option.name;
        EXPECT_TRUE(option.complaint == nullptr || option.complaint(string(option.fallback)) == "")
            << option.name << " complains of its own fallback";
      }
    }
  }
}

TEST(Plugins, ProfilesAreOfTheAppsOfThePolicy) {
  const auto all = profiles(kTwoApps, "");
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->at(0).subject, "wiki");
  EXPECT_EQ(all->at(1).name, "cloudron-fw-app-blog");
  EXPECT_THAT(all->at(1).text, HasSubstr("profile cloudron-fw-app-blog"));
  EXPECT_EQ(profiles(kTwoApps, "blog")->size(), 1u);
  const auto for_all = profiles("", "");
  ASSERT_EQ(for_all->size(), 1u);
  EXPECT_EQ(for_all->front().name, "cloudron-fw-app");
  EXPECT_EQ(profiles("", "other")->front().subject, "other") << "the policy knows of no app";
}

TEST(Plugins, AnAppThatThePolicyDoesNotNameIsAnError) {
  const auto none = profiles(kTwoApps, "wikis");
  ASSERT_FALSE(none);
  EXPECT_EQ(to_string(none.error()), "the policy names no app \"wikis\", did you mean \"wiki\"?");
  const auto complaint = plugin("sandbox").render.options.front().complaint;
  EXPECT_EQ(complaint("wiki"), "");
  EXPECT_THAT(complaint("../x"), HasSubstr("is not an app name"));
}

TEST(Plugins, TheHostIsAuditedBelowItsRoot) {
  const Policy policy = default_policy();
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("plugins_test." + std::to_string(getpid()));
  std::filesystem::create_directories(root);
  const OptionValues options{{"root", root.string()}};
  const auto report = plugin("host").audit.run({policy, options, {}});
  std::filesystem::remove(root);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->scope, root.string());
  EXPECT_TRUE(report->complete);
  ASSERT_FALSE(report->findings.empty());
  EXPECT_EQ(report->findings.front().rule, "upgrades-missing");

  const OptionValues nowhere{{"root", "/no/such/folder"}};
  const auto none = plugin("host").audit.run({policy, nowhere, {}});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::usage);
}

TEST(Plugins, AnEngineThatDoesNotAnswerIsAnError) {
  const Policy policy = default_policy();
  const OptionValues options{{"docker", "/no/such/socket"}, {"all", ""}};
  const auto none = plugin("sandbox").audit.run({policy, options, {}});
  ASSERT_FALSE(none);
  EXPECT_THAT(to_string(none.error()), HasSubstr("/no/such/socket"));
}

}  // namespace
}  // namespace fw
