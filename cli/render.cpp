// cloudron-fw render
// SPDX-License-Identifier: GPL-2.0-or-later
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/plugin_options.hpp"
#include "fw/plugins/table/table.hpp"

namespace cli {
namespace {

namespace json = boost::json;

int run_render(const Context& context, const fw::PluginRender& render,
               const fw::OptionValues& options) {
  if (const auto refused = refuse_values(context, render.options, options)) return *refused;
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const auto files = render.run({loaded->policy, options});
  if (!files) return failed(context, files.error());
  json::array all;
  for (const fw::TextFile& file : *files) {
    if (context.json) {
      all.push_back(json::object{
          {render.subject_key, file.subject}, {"name", file.name}, {render.text_key, file.text}});
    } else {
      fmt::print("{}{}", &file == &files->front() ? "" : "\n", file.text);
    }
  }
  if (context.json) context.print(json::object{{"files", std::move(all)}});
  return kOk;
}

}  // namespace

void add_render(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "render",
      "Generate configuration for other programs (AppArmor), from the apps of the policy.");
  command->require_subcommand(1);
  command->fallthrough();
  for (const fw::Plugin& plugin : fw::plugins()) {
    const fw::PluginRender& render = plugin.render;
    if (render.run == nullptr) continue;
    CLI::App* one = command->add_subcommand(std::string(render.name), std::string(render.about));
    const auto values = add_plugin_options(*one, render.options);
    one->callback(
        [&context, &exit, &render, values] { exit = run_render(context, render, values()); });
  }
}

}  // namespace cli
