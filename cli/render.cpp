// cloudron-fw render
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/plugin_options.hpp"
#include "cli/sites.hpp"
#include "fw/base/file.hpp"
#include "fw/plugins/table/table.hpp"

namespace cli {
namespace {

namespace json = boost::json;

/// Where the files go.
struct Destination {
  std::string folder{};  ///< --to; "": standard output
  bool install = false;  ///< --install
  bool compare = false;  ///< --diff
};

int run_install(const Context& context, const fw::PluginRender& render,
                const fw::RenderRequest& request) {
  const auto report = render.install(request);
  if (!report) return failed(context, report.error());
  for (const std::string& warning : report->warnings) context.warn(warning);
  if (context.json) {
    context.print(json::object{{"changed", json::value_from(report->changed)},
                               {"warnings", json::value_from(report->warnings)}});
    return kOk;
  }
  if (report->changed.empty()) context.say("Everything is in place.");
  for (const std::string& path : report->changed) context.say("changed " + path);
  return kOk;
}

int run_compare(const Context& context, const fw::PluginRender& render,
                const fw::RenderRequest& request) {
  const auto difference = render.compare(request);
  if (!difference) return failed(context, difference.error());
  for (const std::string& warning : difference->warnings) context.warn(warning);
  if (context.json) {
    context.print(json::object{{"changed", json::value_from(difference->changed)},
                               {"diff", json::value_from(difference->lines)},
                               {"diff_left_out", difference->left_out},
                               {"warnings", json::value_from(difference->warnings)}});
  }
  if (difference->changed.empty()) context.say("Everything is in place.");
  print_diff(context, *difference);
  return difference->changed.empty() ? kOk : kDifferent;
}

int write_files(const Context& context, const std::string& folder,
                const std::vector<fw::TextFile>& files) {
  for (const fw::TextFile& file : files) {
    const auto path = std::filesystem::path(folder) / file.name;
    const auto opened = fw::make_folder(path.parent_path().string());
    if (!opened) return failed(context, opened.error());
    const auto bytes = std::as_bytes(std::span(file.text));
    const auto written = fw::replace_file(*opened, path.filename().string(), {bytes});
    if (!written) return failed(context, written.error());
    context.say("wrote " + path.string());
  }
  return kOk;
}

int run_render(const Context& context, const fw::PluginRender& render,
               const fw::OptionValues& options, const Destination& destination) {
  if (const auto refused = refuse_values(context, render.options, options)) return *refused;
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  if (destination.install) return run_install(context, render, {loaded->policy, options});
  if (destination.compare) return run_compare(context, render, {loaded->policy, options});
  const auto files = render.run({loaded->policy, options});
  if (!files) return failed(context, files.error());
  if (!destination.folder.empty()) return write_files(context, destination.folder, *files);
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
  CLI::App* command = program.add_subcommand("render",
                                             "Generate configuration for other programs (nginx, "
                                             "Caddy, HAProxy, AppArmor), from the policy.");
  command->require_subcommand(1);
  command->fallthrough();
  for (const fw::Plugin& plugin : fw::plugins()) {
    const fw::PluginRender& render = plugin.render;
    if (render.run == nullptr) continue;
    CLI::App* one = command->add_subcommand(std::string(render.name), std::string(render.about));
    const auto values = add_plugin_options(*one, render.options);
    const auto destination = std::make_shared<Destination>();
    CLI::Option* to = one->add_option("--to", destination->folder, "Write the files into DIR");
    to->type_name("DIR")->check(not_empty);
    if (render.install != nullptr) {
      one->add_flag("--install", destination->install,
                    "Put the files where the program looks, check them, and reload it")
          ->excludes(to);
    }
    if (render.compare != nullptr) {
      one->add_flag("--diff", destination->compare,
                    "Only print how the files that --install would write differ from those in "
                    "place. Exit code: 0 equal, 2 different")
          ->excludes(to)
          ->excludes(one->get_option("--install"));
    }
    one->callback([&context, &exit, &render, values, destination] {
      exit = run_render(context, render, values(), *destination);
    });
  }
}

}  // namespace cli
