// How --help is laid out.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/help.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace cli {
namespace {

constexpr std::size_t kColumns = 80;

/// Breaks lines at spaces, so that each has at most `width` columns; keeps the breaks that are
/// there.
std::string wrapped(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    if (column != 0 && column + 1 + end > width) {
      out += '\n';
      column = 0;
    }
    if (column != 0) out += ' ';
    out += text.substr(0, end);
    column += (column != 0 ? 1 : 0) + end;
    if (end < text.size() && text[end] == '\n') {
      out += '\n';
      column = 0;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string first_sentence(const std::string& text) {
  std::string first = text.substr(0, std::min(text.find(". "), text.find(".\n")));
  if (first.ends_with('.')) first.pop_back();
  return first;
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return wrapped(app->get_description(), kColumns) + "\n";
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return wrapped(option->get_description(), kColumns - get_column_width());
}

std::string HelpFormatter::make_option_usage(const CLI::Option* option) const {
  const std::string name =
      make_option_name(option, true) + (option->get_expected_max() > 1 ? "..." : "");
  return option->get_required() ? name : "[" + name + "]";
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  const std::string first = first_sentence(command->get_description());
  std::ostringstream out;
  CLI::detail::format_help(out, command->get_display_name(true),
                           wrapped(first, kColumns - get_column_width()), get_column_width());
  return out.str();
}

}  // namespace cli
