// cloudron-fw top
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "fw/base/suggest.hpp"
#include "fw/daemon/rates.hpp"
#include "fw/ops/daemon_client.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using Style = Context::Style;
using fw::LimitRates;
using fw::NamedCount;
using fw::NamedRate;
using fw::Rates;

constexpr std::chrono::milliseconds kPeriod{1000};
constexpr std::size_t kSources = 10;

fw::Result<fw::Counts> sample(const Context& context) {
  return fw::ops::counts_of_daemon(context.environment(), kSources);
}

/// A terminal that shows one screen, and is as it was afterwards.
class Screen {
 public:
  Screen() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, &before_signals_);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      raw.c_cc[VSUSP] = _POSIX_VDISABLE;  // a stopped one would leave the terminal as it is here
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
      raw_ = true;
    }
    write("\x1b[?1049h\x1b[?25l\x1b[?7l");  // alternate screen, no cursor, lines end at the edge
  }
  ~Screen() {
    write("\x1b[?7h\x1b[?25h\x1b[?1049l");
    if (raw_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    if (signals_ >= 0) close(signals_);
    sigprocmask(SIG_SETMASK, &before_signals_, nullptr);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  enum class Event { time, redraw, quit };
  /// Keys and signals do not put the time off.
  Event wait(Clock::time_point until) const {
    pollfd ready[]{{raw_ ? STDIN_FILENO : -1, POLLIN, 0}, {signals_, POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0 || poll(ready, 2, static_cast<int>(left)) <= 0) return Event::time;
    if (ready[1].revents != 0) {
      signalfd_siginfo info{};
      const bool known = read(signals_, &info, sizeof info) == sizeof info;
      return known && info.ssi_signo == SIGWINCH ? Event::redraw : Event::quit;
    }
    char key = 'q';  // the end of the input is one, too
    const bool got = read(STDIN_FILENO, &key, 1) == 1;
    return !got || key == 'q' || key == 'Q' ? Event::quit : Event::redraw;
  }

  /// As much as there is room for, in place of what was there.
  static void draw(const std::vector<std::string>& lines) {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
    const std::size_t rows = known ? size.ws_row - 1u : 24;
    std::string out = "\x1b[H";
    for (std::size_t i = 0; i < std::min(rows, lines.size()); ++i) out += lines[i] + "\x1b[K\n";
    write(out + "\x1b[J");
  }

 private:
  /// A terminal that went away is no error: SIGHUP follows.
  static void write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  termios before_{};
  sigset_t before_signals_{};
  bool raw_ = false;
  int signals_ = -1;
};

std::string per_second(double rate) {
  return rate < 10 && rate > 0 ? fmt::format("{:.1f}", rate) : fmt::format("{:.0f}", rate);
}

/// Two lists side by side.
void sources(const Context& context, const Rates& now, std::vector<std::string>& lines) {
  const std::size_t rows = std::max(now.busiest.size(), now.most_refused.size());
  lines.push_back(context.styled(Style::dim, fmt::format("{:<30}{:>7}   {:<30}{:>7}", "busiest",
                                                         "new", "most refused", "copies")));
  for (std::size_t i = 0; i < rows; ++i) {
    const auto cell = [i](const std::vector<NamedCount>& from) {
      return i < from.size() ? fmt::format("{:<30}{:>7}", from[i].name, from[i].count)
                             : std::string(37, ' ');
    };
    lines.push_back(cell(now.busiest) + "   " + cell(now.most_refused));
  }
}

std::vector<std::string> view(const Context& context, const Rates& now) {
  std::vector<std::string> lines;
  lines.push_back(context.styled(
      Style::bold, fmt::format("{} new a second, {} refused a second, {} open",
                               per_second(now.connections), per_second(now.refused), now.open)));
  if (now.off) lines.push_back(context.styled(Style::red, "the firewall is off since a reset"));
  lines.emplace_back();
  lines.push_back(context.styled(
      Style::dim, fmt::format("{:<20} {:>9} {:>11} {:>11} {:>9} {:>6}", "limit", "rate",
                              "accepted/s", "refused/s", "sources", "fill")));
  for (const LimitRates& limit : now.limits) {
    const std::string line = fmt::format(
        "{:<20} {:>9} {:>11} {:>11} {:>9} {:>5.0f}%", limit.name, limit.rate,
        per_second(limit.accepted), per_second(limit.refused), limit.sources, 100 * limit.fill);
    lines.push_back(limit.refused > 0 ? context.styled(Style::yellow, line) : line);
  }
  lines.emplace_back();
  sources(context, now, lines);
  lines.emplace_back();
  const auto join = [&lines](const char* what, const std::string& rest) {
    if (!rest.empty()) lines.push_back(fmt::format("{:<12}{}", what, rest));
  };
  std::string dropped;
  for (const NamedRate& one : now.dropped) {
    if (one.rate > 0) dropped += fmt::format("{} {}/s  ", one.name, per_second(one.rate));
  }
  std::string apps;
  for (const NamedRate& one : now.apps) {
    if (one.rate > 0) apps += fmt::format("{} {}/s  ", one.name, per_second(one.rate));
  }
  std::string blocks;
  for (const NamedCount& one : now.blocks) blocks += fmt::format("{} {}  ", one.name, one.count);
  join("dropped", dropped);
  join("apps", apps);
  join("blocks", blocks);
  join("repairs", fmt::format("{}; {} events lost", now.repairs, now.lost));
  return lines;
}

json::array counts_json(const std::vector<NamedCount>& counts) {
  json::array out;
  for (const NamedCount& one : counts) {
    out.push_back(json::object{{"name", one.name}, {"count", one.count}});
  }
  return out;
}

json::array rates_json(const std::vector<NamedRate>& rates) {
  json::array out;
  for (const NamedRate& one : rates) {
    out.push_back(json::object{{"name", one.name}, {"per_second", one.rate}});
  }
  return out;
}

json::object rates_json(const Rates& now) {
  json::array limits;
  for (const LimitRates& limit : now.limits) {
    limits.push_back(json::object{{"name", limit.name},
                                  {"rate", limit.rate},
                                  {"accepted_per_second", limit.accepted},
                                  {"refused_per_second", limit.refused},
                                  {"sources", limit.sources},
                                  {"fill", limit.fill}});
  }
  return {{"connections_per_second", now.connections},
          {"refused_per_second", now.refused},
          {"open", now.open},
          {"off", now.off},
          {"limits", std::move(limits)},
          {"dropped", rates_json(now.dropped)},
          {"apps", rates_json(now.apps)},
          {"busiest", counts_json(now.busiest)},
          {"most_refused", counts_json(now.most_refused)},
          {"blocks", counts_json(now.blocks)},
          {"repairs", now.repairs},
          {"events_lost", now.lost}};
}

int run_once(const Context& context) {
  const auto before = sample(context);
  if (!before) return failed(context, before.error());
  std::this_thread::sleep_for(kPeriod);
  const auto after = sample(context);
  if (!after) return failed(context, after.error());
  const Rates now = fw::rates(*before, *after);
  if (context.json) context.print(rates_json(now));
  for (const std::string& line : view(context, now)) context.say(line);
  return kOk;
}

int run_top(const Context& context, bool once) {
  if (once || context.json) return run_once(context);
  if (isatty(STDOUT_FILENO) == 0) {
    context.error("the output is not a terminal: use --once, or --once --json");
    return kUsage;
  }
  auto before = sample(context);
  if (!before) return failed(context, before.error());
  std::optional<fw::Error> lost;
  {
    const Screen screen;
    Screen::draw({"..."});
    std::vector<std::string> lines;
    auto next = Clock::now() + kPeriod;
    for (auto event = screen.wait(next); event != Screen::Event::quit; event = screen.wait(next)) {
      if (event == Screen::Event::time) {
        next = Clock::now() + kPeriod;
        const auto after = sample(context);
        if (!after) {
          lost = after.error();
          break;
        }
        lines = view(context, fw::rates(*before, *after));
        before = after;
      }
      Screen::draw(lines);
    }
  }
  return lost ? failed(context, *lost) : kOk;
}

}  // namespace

void add_top(CLI::App& program, Context& context, int& exit) {
  auto once = std::make_shared<bool>(false);
  CLI::App* command = program.add_subcommand(
      "top",
      "Show new connections and refusals live, by limit, source and app; also meters, blocks and "
      "repairs. Press q to quit. Needs the daemon.");
  command->add_flag("--once", *once, "Show one second and exit; with --json for scripts");
  command->callback([&context, &exit, once] { exit = run_top(context, *once); });
}

}  // namespace cli
