// The options that plugins declare, on the command line.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/plugin_options.hpp"

#include <memory>
#include <string>
#include <vector>

namespace cli {

std::function<fw::OptionValues()> add_plugin_options(CLI::App& command, fw::PluginOptions options) {
  auto values = std::make_shared<fw::OptionValues>();
  auto flags = std::make_shared<std::map<std::string, bool>>();
  auto lists = std::make_shared<std::map<std::string, std::vector<std::string>>>();
  for (const fw::PluginOption& option : options) {
    const std::string name(option.name);
    const std::string help(option.help);
    std::string words = "--" + name;
    if (option.letter != 0) words += std::string(",-") + option.letter;
    if (option.form == fw::PluginOption::Form::flag) {
      command.add_flag(words, (*flags)[name], help);
      continue;
    }
    if (option.form == fw::PluginOption::Form::positionals) {
      command.add_option(name, (*lists)[name], help)->check(not_empty);
      continue;
    }
    std::string& value = (*values)[name] = option.fallback;
    const bool positional = option.form == fw::PluginOption::Form::positional;
    CLI::Option* added = command.add_option(positional ? name : words, value, help);
    added->check(not_empty);
    if (!option.value_name.empty()) added->type_name(std::string(option.value_name));
    if (!value.empty()) added->capture_default_str();
  }
  return [values, flags, lists] {
    fw::OptionValues all = *values;
    for (const auto& [name, given] : *flags) all[name] = given ? "yes" : "";
    for (const auto& [name, given] : *lists) {
      std::string& lines = all[name];
      for (const std::string& one : given) lines += (lines.empty() ? "" : "\n") + one;
    }
    return all;
  };
}

std::optional<int> refuse_values(const Context& context, fw::PluginOptions options,
                                 const fw::OptionValues& values) {
  for (const fw::PluginOption& option : options) {
    if (option.complaint == nullptr) continue;
    const std::string what = option.complaint(values.at(std::string(option.name)));
    if (what.empty()) continue;
    context.error(what);
    return kUsage;
  }
  return {};
}

}  // namespace cli
