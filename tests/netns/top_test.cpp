// `top` on a terminal: it refreshes in place, and leaves the terminal as it was.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

namespace json = boost::json;

constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr const char* kLeave = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A program on a terminal of its own.
class Terminal {
 public:
  Terminal(const Firewall& fw, std::vector<std::string> words, unsigned short rows = 40)
      : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (!master_.open() || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0) {
      fail("cannot make a terminal");
    }
    name_ = ::ptsname(master_.get());
    own_ = Fd(::open(name_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));  // its settings outlive top
    before_ = settings();
    resize(rows);
    std::string command = "exec";
    for (const std::string& word : fw.command(words)) command += " '" + word + "'";
    process_ = std::make_unique<Process>(
        fw.host(), std::vector<std::string>{"sh", "-c", command + " <>" + name_ + " >&0"});
  }

  void resize(unsigned short rows) {
    const winsize size{rows, 60, 0, 0};
    if (::ioctl(own_.get(), TIOCSWINSZ, &size) != 0) fail("cannot resize a terminal");
  }
  void type(const std::string& keys) const {
    if (::write(master_.get(), keys.data(), keys.size()) < 0) fail("cannot type");
  }
  /// Reads on until `what` was written `times` times; false when it was not in time.
  bool shows(const std::string& what, std::size_t times = 1) {
    return eventually([&] {
      read();
      std::size_t found = 0;
      for (auto at = shown_.find(what); at != std::string::npos; at = shown_.find(what, at + 1)) {
        ++found;
      }
      return found >= times;
    });
  }
  std::string last_frame() const { return shown_.substr(shown_.rfind("\x1b[H")); }
  const std::string& shown() const { return shown_; }
  Process& process() { return *process_; }

  /// The terminal is as before: its screen, its cursor, its settings.
  void expect_restored() {
    read();
    EXPECT_EQ(shown_.substr(shown_.size() - std::strlen(kLeave)), kLeave);
    const termios now = settings();
    EXPECT_EQ(now.c_lflag, before_.c_lflag);
    EXPECT_EQ(now.c_cc[VSUSP], before_.c_cc[VSUSP]);
  }
  bool raw() const { return (settings().c_lflag & ICANON) == 0; }

 private:
  termios settings() const {
    termios out{};
    if (::tcgetattr(own_.get(), &out) != 0) fail("no terminal");
    return out;
  }
  void read() {
    pollfd ready{master_.get(), POLLIN, 0};
    char bytes[65'536];
    while (::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0) {
      const auto got = ::read(master_.get(), bytes, sizeof bytes);
      if (got <= 0) return;
      shown_.append(bytes, static_cast<std::size_t>(got));
    }
  }

  Fd master_;
  Fd own_;
  std::string name_;
  termios before_{};
  std::string shown_;
  std::unique_ptr<Process> process_;
};

class Top : public OverFamily {
 protected:
  std::vector<std::string> words(const Daemon& daemon, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--socket", daemon.path(), "top"});
    return more;
  }

  Server server{net.host, {22, 80}};
};
BOTH_FAMILIES(Top);

TEST_P(Top, OnceIsOneObjectForScripts) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  const Daemon daemon(fw);
  EXPECT_EQ(served(from(1).tries(host(), {22}, {9, 10ms, 300ms})), 5u);
  Process top(net.host, fw.command(words(daemon, {"--once", "--json"})));
  std::vector<Try> tries;
  // Whenever the two samples are taken, there is traffic between them.
  while (top.out_so_far().empty() && tries.size() < 1000) {
    for (const Try& one : from(2).tries(host(), {80}, {10, 5ms})) tries.push_back(one);
  }
  const Output out = top.wait();
  ASSERT_EQ(out.exit, 0) << to_string(out);
  const json::object now = json::parse(out.out).as_object();
  EXPECT_GT(now.at("connections_per_second").to_number<double>(), 10);
  bool web = false;
  for (const json::value& limit : now.at("limits").as_array()) {
    if (limit.at("name") != "web") continue;
    web = limit.at("accepted_per_second").to_number<double>() > 10;
  }
  EXPECT_TRUE(web) << out.out;
  EXPECT_EQ(now.at("most_refused").as_array().size(), 1u) << out.out;
}

TEST_P(Top, RefreshesInPlaceAndQEndsIt) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  const Daemon daemon(fw);
  Terminal terminal(fw, words(daemon, {"--no-color"}));
  ASSERT_TRUE(terminal.shows(kEnter)) << terminal.shown();
  EXPECT_TRUE(terminal.raw());
  ASSERT_TRUE(terminal.shows("new a second", 2)) << terminal.shown();
  EXPECT_EQ(terminal.shown().find("\x1b[1m"), std::string::npos) << "no colour was asked for";
  EXPECT_NE(terminal.last_frame().find("ssh"), std::string::npos);
  terminal.type("q");
  EXPECT_EQ(terminal.process().wait().exit, 0);
  terminal.expect_restored();
}

TEST_P(Top, FitsTheTerminal) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  const Daemon daemon(fw);
  Terminal terminal(fw, words(daemon), 6);
  ASSERT_TRUE(terminal.shows("new a second")) << terminal.shown();
  ASSERT_TRUE(terminal.shows("\x1b[J", 2)) << terminal.shown();
  const auto lines = [&] { return std::ranges::count(terminal.last_frame(), '\n'); };
  EXPECT_EQ(lines(), 5);
  terminal.resize(9);
  terminal.process().kill(SIGWINCH);
  EXPECT_TRUE(eventually([&] { return terminal.shows("\x1b[J", 3) && lines() == 8; }));
}

TEST_P(Top, LeavesTheTerminalAsItWasHoweverItEnds) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  Daemon daemon(fw);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Terminal terminal(fw, words(daemon));
    ASSERT_TRUE(terminal.shows("new a second")) << terminal.shown();
    terminal.process().kill(signal);
    EXPECT_EQ(terminal.process().wait().exit, 0) << signal;
    terminal.expect_restored();
  }
  Terminal terminal(fw, words(daemon));
  ASSERT_TRUE(terminal.shows("new a second")) << terminal.shown();
  daemon.process().kill(SIGKILL);
  const Output lost = terminal.process().wait();
  EXPECT_EQ(lost.exit, 1) << to_string(lost);
  // Killed between two questions, or in the middle of one.
  EXPECT_TRUE(lost.err.find("the daemon is not running") != std::string::npos ||
              lost.err.find("the daemon does not answer") != std::string::npos)
      << lost.err;
  terminal.expect_restored();
}

}  // namespace
}  // namespace lab
