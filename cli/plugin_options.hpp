// The options that plugins declare, on the command line.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>

#include <CLI/CLI.hpp>

#include "cli/context.hpp"
#include "fw/plugins/plugin.hpp"

namespace cli {

/// Adds the options to a command; what is returned gives their values once the line is parsed.
std::function<fw::OptionValues()> add_plugin_options(CLI::App& command, fw::PluginOptions options);

/// The exit code when a value cannot be meant, which is said then.
std::optional<int> refuse_values(const Context& context, fw::PluginOptions options,
                                 const fw::OptionValues& values);

}  // namespace cli
