// What commands share: loading, and printing messages.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/context.hpp"

#include <algorithm>
#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/spinner.hpp"
#include "fw/base/suggest.hpp"
#include "fw/wire/wire.hpp"

namespace cli {

namespace json = boost::json;

namespace {

/// A message as a terminal or the journal may have it: it names files, and what others wrote.
std::string shown(const std::string& message) { return fw::printable(message, message.size()); }

}  // namespace

std::string not_empty(const std::string& value) {
  return value.empty() ? "the value is empty" : "";
}

std::string Context::styled(Style style, const std::string& text) const {
  if (!color || style == Style::plain) return text;
  const char* code = "";
  switch (style) {
    case Style::plain:
      break;
    case Style::bold:
      code = "1";
      break;
    case Style::dim:
      code = "2";
      break;
    case Style::red:
      code = "31";
      break;
    case Style::green:
      code = "32";
      break;
    case Style::yellow:
      code = "33";
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void Context::say(const std::string& line) const {
  if (!quiet && !json) fmt::print("{}\n", line);
}

void Context::warn(const std::string& line) const {
  if (quiet && !boot) return;
  const char* const label = color_err ? "\x1b[33mwarning:\x1b[0m" : "warning:";
  fmt::print(stderr, "{}cloudron-fw: {} {}\n", boot ? "<4>" : "", label, shown(line));
}

void Context::error(const std::string& line) const {
  const char* const label = color_err ? "\x1b[31merror:\x1b[0m" : "error:";
  fmt::print(stderr, "{}cloudron-fw: {} {}\n", boot ? "<3>" : "", label, shown(line));
}

void Context::error(const fw::Error& error) const { this->error(fw::ops::error_text(error)); }

void Context::print(json::value fields) const {
  fmt::print("{}\n", json::serialize(fw::wire::versioned(std::move(fields))));
}

fw::ops::Environment Context::environment() const {
  fw::ops::Environment env;
  env.state_dir = state_dir;
  env.socket = socket;
  if (!nginx.empty()) {
    env.nginx = fw::ops::absolute_path(nginx);
  } else if (fw::ops::absolute_path(state_dir) == kDefaultStateDir) {
    env.nginx = kDefaultNginx;
  }
  env.caller = caller;
  env.tell = [this](const fw::Problem& problem) { problems({problem}); };
  env.working = [this](const std::string& what) { return std::make_shared<Spinner>(*this, what); };
  return env;
}

void Context::problems(const std::vector<fw::Problem>& problems) const {
  for (const fw::Problem& problem : problems) {
    if (problem.severity == fw::Severity::warning && quiet && !boot) continue;
    std::string where = shown(to_string(problem.where));
    where += where.empty() ? "cloudron-fw: " : ": ";
    const bool bad = problem.severity == fw::Severity::error;
    std::string label = bad ? "error:" : "warning:";
    if (color_err) label = fmt::format("\x1b[{}m{}\x1b[0m", bad ? 31 : 33, label);
    fmt::print(stderr, "{}{}{} {}\n", boot ? (bad ? "<3>" : "<4>") : "", where, label,
               shown(problem.what));
  }
}

int failed(const Context& context, const fw::Error& error) {
  context.error(error);
  return kError;
}

std::optional<LoadedPolicy> load_policy(const Context& context) {
  return fw::ops::load_policy(context.environment(), context.source());
}

void Table::print(const Context& context, const std::string& indent) const {
  if (context.quiet || context.json || rows_.empty()) return;
  std::vector<std::size_t> widths(columns_.size());
  auto measure = [&widths](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  };
  measure(heading_);
  for (const auto& cells : rows_) measure(cells);
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text = indent;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i != 0) text += "  ";
      text += columns_[i] == Align::right ? fmt::format("{:>{}}", cells[i], widths[i])
                                          : fmt::format("{:<{}}", cells[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  if (!heading_.empty()) fmt::print("{}\n", context.styled(Context::Style::dim, line(heading_)));
  for (const auto& cells : rows_) fmt::print("{}\n", line(cells));
}

std::string left_out_text(const fw::ListReport& report) {
  constexpr std::size_t kShown = 5;
  std::string text = fmt::format(
      "list '{}': {} contain addresses that no list may block, which are left "
      "out there:",
      report.name, plural(report.left_count, "entry", "entries"));
  for (std::size_t i = 0; i < std::min(kShown, report.left_out.size()); ++i) {
    text += fmt::format("{} line {} ({})", i == 0 ? "" : ",", report.left_out[i].line,
                        report.left_out[i].what);
  }
  if (report.left_count > kShown) text += ", ...";
  return text;
}

void print_lists(const Context& context, const std::vector<fw::ListReport>& reports) {
  for (const fw::ListReport& report : reports) {
    for (const fw::BadLine& line : report.wide) {
      context.warn(fmt::format("{}:{}: {}", report.file, line.line, line.what));
    }
    if (report.left_count != 0) context.warn(left_out_text(report));
    if (report.problem.empty()) continue;
    for (const fw::BadLine& line : report.bad) {
      context.warn(fmt::format("{}:{}: {}", report.file, line.line, line.what));
    }
    if (report.bad_count > report.bad.size()) {
      context.warn(fmt::format("{}: and {} more bad lines", report.file,
                               grouped(report.bad_count - report.bad.size())));
    }
    context.warn(fmt::format("list '{}': {}", report.name, report.problem));
  }
}

void print_difference(const Context& context, const fw::Difference& difference, std::size_t most,
                      Tense tense) {
  std::string place;
  std::size_t shown = 0;
  for (const chains::DiffLine& line : difference.rules.lines) {
    if (shown++ == most) break;
    if (line.place != place) context.say(context.styled(Context::Style::bold, line.place));
    place = line.place;
    std::string note = line.id;
    if (const std::string where = to_string(line.where); !where.empty()) {
      note += (note.empty() ? "" : ", ") + where;
    }
    if (!note.empty()) note = context.styled(Context::Style::dim, "   # " + note);
    const auto style = line.sign == '+' ? Context::Style::green : Context::Style::red;
    context.say("  " + context.styled(style, fmt::format("{} {}", line.sign, line.text)) + note);
  }
  if (difference.rules.all > most) {
    context.say(fmt::format("  ... and {} more lines", grouped(difference.rules.all - most)));
  }
  for (const fw::ContentChange& change : difference.contents) {
    if (change.whole) {
      context.say(fmt::format("{}: {} {}", change.what, plural(change.added, "entry", "entries"),
                              tense == Tense::done ? "loaded" : "to be loaded"));
    } else {
      context.say(fmt::format("{}: {} {}, {} {}", change.what, grouped(change.added),
                              tense == Tense::done ? "added" : "to be added",
                              grouped(change.removed),
                              tense == Tense::done ? "removed" : "to be removed"));
    }
  }
}

}  // namespace cli
