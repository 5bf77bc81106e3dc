// How --help is laid out: within 80 columns.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace cli {

/// Without its full stop.
std::string first_sentence(const std::string& text);

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  /// "FROM", "ADDR...", "[FILE]".
  std::string make_option_usage(const CLI::Option* option) const override;
  /// In the list of commands: the first sentence.
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace cli
