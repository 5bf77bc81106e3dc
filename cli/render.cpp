// cloudron-fw render
#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/sandbox/apparmor.hpp"

namespace cli {
namespace {

namespace json = boost::json;

/// The app that is named, where the policy has it or knows of none; else those of the policy, else
/// none: one profile for all.
std::optional<std::vector<std::string>> apps_of(const Context& context, const std::string& app) {
  const auto loaded = load_policy(context);
  if (!loaded) return std::nullopt;
  std::vector<std::string> names;
  for (const fw::App& known : loaded->policy.apps) names.push_back(known.name);
  if (!app.empty()) {
    if (names.empty() || std::ranges::find(names, app) != names.end()) return {{app}};
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string_view near = fw::nearest(app, known);
    context.error(fmt::format("the policy names no app {}{}", fw::quote(app),
                              near.empty() ? "" : ", did you mean " + fw::quote(near) + "?"));
    return std::nullopt;
  }
  if (names.empty()) names.emplace_back();
  return names;
}

int run_apparmor(const Context& context, const std::string& app) {
  if (!app.empty() && !fw::sandbox::is_app_name(app)) {
    context.error(
        fmt::format("{} is no name of an app: at most {} lower-case letters, digits, - "
                    "and _, a letter first",
                    fw::quote(app), fw::kNameLengthMax));
    return kUsage;
  }
  const auto apps = apps_of(context, app);
  if (!apps) return kError;
  json::array profiles;
  for (const std::string& name : *apps) {
    const std::string text = fw::sandbox::apparmor_profile(name);
    if (context.json) {
      profiles.push_back(json::object{
          {"app", name}, {"name", fw::sandbox::apparmor_name(name)}, {"profile", text}});
    } else {
      fmt::print("{}{}", name == apps->front() ? "" : "\n", text);
    }
  }
  if (context.json) context.print(json::object{{"files", std::move(profiles)}});
  return kOk;
}

}  // namespace

void add_render(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "render", "Generate configuration for other programs (AppArmor), from the policy's apps.");
  command->require_subcommand(1);
  command->fallthrough();
  auto app = std::make_shared<std::string>();
  CLI::App* apparmor = command->add_subcommand(
      "apparmor",
      "An AppArmor profile for an app's containers: no writing to /proc and /sys, no mounting, no "
      "tracing of others, no raw sockets. Its first lines say how it is loaded and given to a "
      "container. Needs no root.");
  apparmor
      ->add_option("APP", *app,
                   "The app's name (default: one profile for each app of the policy, and "
                   "without apps one for all)")
      ->check(not_empty);
  apparmor->callback([&context, &exit, app] { exit = run_apparmor(context, *app); });
}

}  // namespace cli
