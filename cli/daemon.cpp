// cloudron-fw daemon
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/daemon.hpp"

#include <filesystem>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"

namespace cli {

void add_daemon(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "daemon",
      "Restore rules that other programs change, block sources by [[offender]], and answer on the "
      "control socket. Run by systemd: cloudron-fwd.service. The firewall works without it.");
  command->callback([&context, &exit] {
    const auto state_dir = std::filesystem::absolute(context.state_dir).lexically_normal();
    const auto done = fw::run_daemon({state_dir.string(), context.socket});
    if (!done) context.error(done.error());
    exit = done ? kOk : kError;
  });
}

}  // namespace cli
