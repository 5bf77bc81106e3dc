// What a shell completes: every command and option of --help, and values where they are known.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/lab/firewall.hpp"

namespace lab {
namespace {

/// Asks the bash script as bash does; the parts of bash-completion that it calls are stand-ins.
constexpr const char* kAskBash = R"(
_init_completion() {
  words=("${COMP_WORDS[@]}") cword=$((${#COMP_WORDS[@]} - 1))
  cur=${words[cword]} prev=${words[cword - 1]}
}
_filedir() { COMPREPLY=("a file $*"); }
__ltrim_colon_completions() { :; }
program=$1
cloudron-fw() { "$program" "$@"; }
source <("$program" completion bash)
shift
COMP_WORDS=(cloudron-fw "$@")
_cloudron_fw
printf '%s\n' "${COMPREPLY[@]}"
)";

class Completion : public testing::Test {
 protected:
  std::string help(const std::string& command = {}) const {
    return must_run(host, command.empty() ? words({"--help"}) : words({command, "--help"}));
  }
  std::string script(const std::string& shell) const {
    return must_run(host, words({"completion", shell}));
  }
  /// What bash offers for the last word.
  std::vector<std::string> offered(const std::vector<std::string>& typed) const {
    std::vector<std::string> line{"bash", "-c", kAskBash, "bash", program()};
    line.insert(line.end(), typed.begin(), typed.end());
    std::istringstream out(must_run(host, line));
    std::vector<std::string> all;
    for (std::string word; std::getline(out, word);) all.push_back(word);
    return all;
  }
  static std::vector<std::string> words(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program());
    return arguments;
  }
  static std::vector<std::string> found(const std::string& text, const char* pattern) {
    const std::regex regex(pattern);
    std::vector<std::string> all;
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
      all.push_back((*it)[1]);
    return all;
  }
  /// The commands that --help lists.
  std::vector<std::string> commands() const {
    const std::string text = help();
    const auto from = text.find("\nPolicy:\n"), to = text.find("\nExit codes");
    EXPECT_NE(from, text.npos) << text;
    return found(text.substr(from, to - from), "\n  ([a-z]+) ");
  }

  const Namespace host;
};

bool holds(const std::vector<std::string>& all, const std::string& word) {
  return std::ranges::find(all, word) != all.end();
}

TEST_F(Completion, EveryCommandIsOffered) {
  const std::vector<std::string> known = commands();
  EXPECT_GE(known.size(), 20u);
  EXPECT_TRUE(holds(known, "reset"));
  EXPECT_FALSE(holds(known, "completion")) << "for packagers";
  const std::vector<std::string> by_bash = offered({""});
  const std::string zsh = script("zsh"), fish = script("fish");
  for (const std::string& command : known) {
    EXPECT_TRUE(holds(by_bash, command)) << command;
    EXPECT_NE(zsh.find("'" + command + ":"), zsh.npos) << command;
    EXPECT_NE(fish.find(" -a " + command + " "), fish.npos) << command;
  }
  EXPECT_EQ(by_bash.size(), known.size());
}

TEST_F(Completion, EveryOptionIsOfferedBehindItsCommand) {
  const std::string zsh = script("zsh"), fish = script("fish");
  int count = 0;
  for (const std::string& command : commands()) {
    const std::vector<std::string> by_bash = offered({command, "--"});
    for (const std::string& option : found(help(command), "\n  (?:-.,)?--([a-z0-9-]+)")) {
      EXPECT_TRUE(holds(by_bash, "--" + option)) << command << " --" << option;
      const bool in_zsh =
          zsh.find("--" + option + "[") != zsh.npos || zsh.find("--" + option + "}'[") != zsh.npos;
      EXPECT_TRUE(in_zsh) << command << " --" << option;
      EXPECT_NE(fish.find(" -l " + option + " "), fish.npos) << command << " --" << option;
      ++count;
    }
    EXPECT_TRUE(holds(by_bash, "--policy")) << command;
  }
  EXPECT_GE(count, 40);
}

TEST_F(Completion, ValuesAreOfferedWhereTheyAreKnown) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(offered({"apply", "--confirm", ""}), (Words{"60s", "5m", "1h"}));
  EXPECT_EQ(offered({"show", "--format", "j"}), (Words{"json"}));
  EXPECT_EQ(offered({"block", "--for", "1"}), (Words{"10m", "1h", "1d", "1w"}));
  EXPECT_EQ(offered({"unblock", "--prefix6", "6"}), (Words{"64"}));
  EXPECT_EQ(offered({"activity", "--since", "7"}), (Words{"7d"}));
  EXPECT_EQ(offered({"activity", "--what", "u"}), (Words{"unblock"}));
  EXPECT_TRUE(holds(offered({"explain", "--via", "l"}), "lo"));
  EXPECT_EQ(offered({"panic", ""}), (Words{"on", "off"}));
  EXPECT_EQ(offered({"audit", ""}), (Words{"sandbox", "host", "tls"}));
  EXPECT_EQ(offered({"render", ""}), (Words{"apparmor", "nginx", "caddy", "haproxy"}));
  EXPECT_EQ(offered({"--policy", ""}), (Words{"a file "}));
  EXPECT_EQ(offered({"check", ""}), (Words{"a file toml"}));
  EXPECT_EQ(offered({"simulate", ""}), (Words{"a file "}));
  EXPECT_EQ(offered({"audit", "host", "--root", ""}), (Words{"a file -d"}));
  EXPECT_TRUE(holds(offered({"audit", "sandbox", "--"}), "--docker"));
  EXPECT_EQ(offered({"block", "--reason", ""}), (Words{""})) << "nothing";
}

}  // namespace
}  // namespace lab
