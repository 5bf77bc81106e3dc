// Loading what commands need, and saying things.
#include "cli/context.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "chains/rule_text.hpp"
#include "cli/apps.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/block.hpp"
#include "fw/host/exposed.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"

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

void Context::error(const fw::Error& error) const {
  const bool denied = error.sys_errno == EACCES || error.sys_errno == EPERM;
  this->error(to_string(error) +
              (denied && geteuid() != 0 ? "; this command needs root (try: sudo)" : ""));
}

void Context::print(const json::value& value) const { fmt::print("{}\n", json::serialize(value)); }

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

namespace {

void add_exposed(const Context& context, LoadedPolicy& loaded) {
  for (fw::Problem& problem :
       fw::exposed_files(loaded.policy, loaded.text ? loaded.name : "", context.state_dir)) {
    loaded.warnings.push_back(std::move(problem));
  }
}

/// Reads the files of rules.d beside the policy; false when they cannot be used, which was said.
bool put_in_rules(const Context& context, const std::string& path, LoadedPolicy& loaded) {
  auto files = fw::read_rule_files(absolute_path(path));
  if (!files) {
    context.error(files.error());
    return false;
  }
  const auto problems = chains::read_rules(*files).problems;
  context.problems(problems);
  if (!problems.empty()) return false;
  if (files->empty()) return true;
  // Remembered with the policy, also with one that is built in.
  loaded.text = fw::with_rules(loaded.text.value_or(std::string()), *files);
  loaded.policy.rules = std::move(*files);
  return true;
}

}  // namespace

std::optional<LoadedPolicy> load_policy(const Context& context) {
  LoadedPolicy loaded;
  const bool given = !context.policy_path.empty();
  const std::string path = given ? context.policy_path : kDefaultPolicy;
  if (!given && access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    loaded.policy = fw::default_policy();
    loaded.warnings = fw::check(loaded.policy);
    add_exposed(context, loaded);
    loaded.name = "the built-in default policy";
    if (!put_in_rules(context, path, loaded)) return {};
    return loaded;
  }
  fw::Parsed parsed = fw::read_policy(path);
  if (!parsed.ok()) {
    context.problems(parsed.problems);
    return {};
  }
  loaded.policy = std::move(parsed.policy);
  loaded.warnings = std::move(parsed.problems);
  loaded.text = std::move(parsed.text);
  loaded.name = path;
  add_exposed(context, loaded);
  if (!put_in_rules(context, path, loaded)) return {};
  put_in_apps(context, loaded);
  return loaded;
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(path, error);
  return error ? path : whole.string();
}

std::string policy_file(const Context& context) {
  return absolute_path(context.policy_path.empty() ? kDefaultPolicy : context.policy_path);
}

namespace {

bool was_refused(const Context& context, const LoadedPolicy& asked) {
  if (!context.boot || !asked.text) return false;
  const auto at = fw::refused_at(context.state_dir, *asked.text, fw::this_moment());
  if (!at) return false;
  context.error(
      fmt::format("{} was rolled back at {}, and not applied since", asked.name, time_text(*at)));
  return true;
}

}  // namespace

LoadedPolicy load_some_policy(const Context& context) {
  auto asked = load_policy(context);
  const bool lost = context.boot && asked && asked->policy.file.empty();
  const bool refused = asked && was_refused(context, *asked);
  if (asked && !lost && !refused) return std::move(*asked);
  auto last_good = fw::read_last_good(context.state_dir);
  if (lost && !last_good) return std::move(*asked);
  if (lost) context.error(fmt::format("{} is not there any more", kDefaultPolicy));
  LoadedPolicy loaded;
  loaded.stands_in = true;
  if (last_good) {
    loaded.policy = std::move(*last_good);
    loaded.name = "the last good policy";
  } else {
    loaded.policy = fw::default_policy();
    loaded.name = "the built-in default policy";
  }
  loaded.warnings = fw::check(loaded.policy);
  put_in_apps(context, loaded);
  context.error("the policy cannot be used: " + loaded.name +
                (context.boot ? " is applied instead" : " is used instead"));
  return loaded;
}

fw::Result<fw::Manager> open_manager(const Context& context) {
  return fw::Manager::open(context.state_dir);
}

bool has_state(const Context& context) {
  return access(context.state_dir.c_str(), F_OK) == 0 || errno != ENOENT;
}

fw::Result<fw::Manager> open_manager_to_read(const Context& context) {
  if (has_state(context)) return open_manager(context);
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  return fw::Manager(std::move(*kernel), context.state_dir, std::nullopt);
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

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string plural(std::uint64_t n, const char* one, const char* many) {
  std::string word = one;
  if (n != 1) word = many != nullptr ? many : word + "s";
  return grouped(n) + " " + word;
}

std::string until_text(const std::optional<fw::WallTime>& until, fw::WallTime now) {
  if (!until) return "permanently";
  const auto left = std::chrono::ceil<std::chrono::seconds>(*until - now);
  if (left.count() <= 0) return "ended";
  // Two units are enough to know what one has: "2d 3h", "14m 5s".
  std::string text;
  auto rest = left.count();
  int parts = 0;
  for (const auto& [unit, name] : {std::pair{86'400L, 'd'}, {3600L, 'h'}, {60L, 'm'}, {1L, 's'}}) {
    if (rest < unit || parts == 2) continue;
    text += fmt::format("{}{}{}", parts == 0 ? "" : " ", rest / unit, name);
    rest %= unit;
    ++parts;
  }
  return text + " left";
}

std::string time_text(fw::WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

json::value to_json(const fw::Location& where) {
  if (where.file.empty()) return nullptr;
  return json::object{{"file", where.file}, {"line", where.line}, {"column", where.column}};
}

json::value to_json(const fw::Problem& problem) {
  return json::object{{"severity", problem.severity == fw::Severity::error ? "error" : "warning"},
                      {"what", problem.what},
                      {"where", to_json(problem.where)}};
}

json::value to_json(const fw::Difference& difference) {
  json::array lines;
  for (const chains::DiffLine& line : difference.rules.lines) {
    lines.push_back(json::object{{"sign", std::string(1, line.sign)},
                                 {"place", line.place},
                                 {"text", line.text},
                                 {"id", line.id},
                                 {"where", to_json(line.where)}});
  }
  json::array contents;
  for (const fw::ContentChange& change : difference.contents) {
    contents.push_back(json::object{{"what", change.what},
                                    {"added", change.added},
                                    {"removed", change.removed},
                                    {"whole", change.whole}});
  }
  return json::object{{"lines", std::move(lines)},
                      {"lines_in_all", difference.rules.all},
                      {"contents", std::move(contents)}};
}

json::value to_json(const std::vector<fw::ListReport>& reports) {
  json::array out;
  for (const fw::ListReport& report : reports) {
    const auto lines = [](const std::vector<fw::BadLine>& all) {
      json::array array;
      for (const fw::BadLine& line : all) {
        array.push_back(json::object{{"line", line.line}, {"what", line.what}});
      }
      return array;
    };
    out.push_back(json::object{{"name", report.name},
                               {"file", report.file},
                               {"action", to_string(report.action)},
                               {"entries", report.entries},
                               {"bad_lines", report.bad_count},
                               {"bad", lines(report.bad)},
                               {"left_out_lines", report.left_count},
                               {"left_out", lines(report.left_out)},
                               {"wide", lines(report.wide)},
                               {"last_good", report.last_good},
                               {"problem", report.problem}});
  }
  return out;
}

json::value to_json(const fw::Block& block, fw::WallTime now) {
  json::object out{{"address", to_string(block.range)},
                   {"since", time_text(block.since)},
                   {"reason", fw::printable(block.reason, block.reason.size())},
                   {"origin", fw::printable(block.origin, block.origin.size())},
                   {"until", nullptr},
                   {"seconds_left", nullptr}};
  if (block.until) {
    out["until"] = time_text(*block.until);
    out["seconds_left"] = std::chrono::ceil<std::chrono::seconds>(*block.until - now).count();
  }
  return out;
}

std::string left_out_text(const fw::ListReport& report) {
  constexpr std::size_t kShown = 5;
  std::string text = fmt::format(
      "list '{}': {} touch addresses that no list blocks, and are left "
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
