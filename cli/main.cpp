// The command line: global options, the list of commands, exit codes.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <malloc.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "fw/base/suggest.hpp"

namespace {

constexpr const char* kAbout =
    "The firewall of a self-hosted app server: compiles a short policy (open ports, limits, "
    "blocked addresses) into nftables rules and loads them into the kernel.";

constexpr const char* kFooter = R"(
Exit codes
  0   done; nothing to do; the kernel holds the policy
  1   error: nothing was changed, or the output could not be written
  2   plan, status, verify: the kernel does not hold the policy;
      plan, render nginx --diff: the files of the sites would change;
      simulate: a limit would have refused a client;
      explain: the connection is dropped or refused
  3   done in part: a list has bad lines, an address stays blocked, a block
      waits for the first apply, block fell back from a broken policy, a capture
      is damaged; apply: nginx refused the sites; apply --dry-run: apply would
      need --force; audit: some checks failed; certs: one needs attention;
      certs renew: one failed
  10  audit: the worst finding is medium
  11  the same, high
  12  the same, critical
  64  wrong usage

Files
  /etc/cloudron-fw/policy.toml   the policy; without it the default is in force
  /var/lib/cloudron-fw/          blocks, the activity log, remembered lists,
                                 the last good policy, trials

Examples
  sudo cloudron-fw plan                     what apply would change
  sudo cloudron-fw apply                    load the policy into the kernel
  sudo cloudron-fw apply --confirm 60s      the same; undone unless you confirm
  sudo cloudron-fw block 203.0.113.7 --for 1h --reason "guessing passwords"
  cloudron-fw simulate night.pcap           what the policy would have refused
  sudo cloudron-fw status                   what is open, counted and blocked
)";

constexpr const char* kCommandFooter = R"(
--policy, --state-dir, --socket, --json, --quiet and --no-color work with every
command. Exit codes, files and examples: cloudron-fw --help)";

bool wants_color(int fd) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  return isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string(term) != "dumb");
}

void add_commands(CLI::App& program, cli::Context& context, int& exit) {
  const std::string ungrouped = program.get_group();
  for (const auto& [add, group] : cli::kCommands) {
    add(program, context, exit);
    for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; })) {
      if (command->get_group() == ungrouped) command->group(group);
    }
  }
}

/// What to say when the first word is no command; "" when it is one, or there is none.
std::string unknown_command(const CLI::App& program, int argc, char** argv) {
  std::vector<std::string_view> commands;
  const auto known = program.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : known) commands.push_back(command->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("-")) {
      const CLI::Option* const option = program.get_option_no_throw(std::string(word));
      if (option != nullptr && option->get_items_expected_max() > 0) ++i;
      continue;
    }
    if (std::find(commands.begin(), commands.end(), word) != commands.end()) return {};
    std::string text = "unknown command " + fw::quote(word);
    const std::string_view near = fw::nearest(word, commands);
    if (!near.empty()) text += ", did you mean " + fw::quote(near);
    return text + "? See 'cloudron-fw --help'";
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  // A short life: memory is taken in large steps and not given back one by one.
  mallopt(M_TOP_PAD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  cli::Context context;
  context.color = wants_color(STDOUT_FILENO);
  context.color_err = wants_color(STDERR_FILENO);
  bool no_color = false;

  CLI::App program{kAbout, "cloudron-fw"};
  const auto formatter = std::make_shared<cli::HelpFormatter>();
  formatter->column_width(24);
  program.formatter(formatter);
  program.footer(kCommandFooter);
  program.require_subcommand(1);
  program.fallthrough();
  program.set_version_flag("--version", "cloudron-fw " CLOUDRON_FW_VERSION);
  program
      .add_option("--policy", context.policy_path,
                  std::string("Policy file (default: ") + fw::ops::kDefaultPolicy +
                      "; without that file, the built-in default policy)")
      ->type_name("FILE")
      ->check(cli::not_empty);
  program.add_option("--state-dir", context.state_dir, "Folder of the state database and lists")
      ->type_name("DIR")
      ->check(cli::not_empty)
      ->capture_default_str();
  program.add_option("--socket", context.socket, "The daemon's control socket")
      ->type_name("PATH")
      ->check(cli::not_empty)
      ->capture_default_str();
  program.add_flag("--json", context.json, "Print JSON");
  program.add_flag("--quiet,-q", context.quiet, "Print errors only");
  program.add_flag("--no-color", no_color, "No colours, even on a terminal");
  program.parse_complete_callback([&] {
    if (no_color) context.color = context.color_err = false;
  });

  int exit = cli::kOk;
  add_commands(program, context, exit);
  program.footer(kFooter);
  try {
    program.parse(argc, argv);
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
  } catch (const std::filesystem::filesystem_error& error) {
    context.error(error.path1().string() + ": " + error.code().message());
    return cli::kError;
  } catch (const std::system_error& error) {
    // fmt::print throws it, and nothing else here does.
    context.error("cannot write the output: " + error.code().message());
    std::_Exit(cli::kError);
  } catch (const CLI::ParseError& error) {
    if (const std::string word = unknown_command(program, argc, argv); !word.empty()) {
      context.error(word);
      return cli::kUsage;
    }
    if (error.get_exit_code() != 0) {
      context.error(std::string(error.what()) + " (see --help)");
      return cli::kUsage;
    }
    program.exit(error);  // prints the help that was asked for
    if (!std::cout.flush()) {
      context.error("cannot write the output");
      return cli::kError;
    }
    return cli::kOk;
  }
  return exit;
}
