// cloudron-fw reset
#include <chrono>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/remove.hpp"
#include "fw/host/trial.hpp"

namespace cli {
namespace {

bool agreed() {
  fmt::print(
      stderr,
      "This removes the tables 'inet {0}' and 'bridge {0}' with all limits, blocks, isolation "
      "of apps and the admin's own rules in them:\nevery port of this host is open "
      "afterwards. Go on? [y/N] ",
      chains::kTable);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// Nobody waits for a confirmation any more, and nobody rolls back: everything is open.
void end_trial(const Context& context) {
  const auto pending = fw::read_trial_record(context.state_dir);
  if (!pending) return;
  const auto done = fw::abandon_trial(context.state_dir, *pending, fw::wall_clock());
  if (!done) context.warn("the trial is not over: " + to_string(done.error()));
}

/// The daemon takes it away once it has heard of the reset. Nobody else can.
bool stand_in_is_gone(chains::Kernel& kernel) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (kernel.has(chains::Table::stand_in).value_or(false)) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return true;
}

int nothing_to_do(const Context& context) {
  if (context.json) context.print(boost::json::object{{"removed", false}});
  context.say("nothing to do: there is no table of ours");
  return kOk;
}

int remove_ours(const Context& context, chains::Kernel& kernel, bool yes) {
  const auto observed = kernel.read();
  if (!observed) {
    context.error(observed.error());
    return kError;
  }
  const auto bridge = kernel.has(chains::Table::bridge);
  if (observed->table() == nullptr && !bridge.value_or(false)) return nothing_to_do(context);
  if (!yes && isatty(STDIN_FILENO) == 0) {
    context.error("not removed: there is no terminal to ask on: use --yes");
    return kError;
  }
  if (!yes && !agreed()) {
    context.error("not removed: the answer was not 'y'");
    return kError;
  }
  // Not before the question: nobody should have to wait for the answer.
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) context.warn("removing the tables without the lock: " + to_string(lock.error()));
  if (lock) {
    const auto off = fw::switch_off(context.state_dir);
    if (!off) context.warn("the daemon may bring it back: " + to_string(off.error()));
  }
  end_trial(context);
  const auto removed = fw::remove_tables(kernel);
  if (!removed) {
    context.error(removed.error());
    return kError;
  }
  if (removed->empty()) return nothing_to_do(context);
  if (context.json) context.print(boost::json::object{{"removed", true}});
  std::string done;
  for (const chains::Table table : *removed) done += (done.empty() ? "" : ", ") + name_of(table);
  done += " removed";
  context.say(done + "; blocks are kept for the next apply");
  record(context, nullptr, "reset", done, {});
  return kOk;
}

int run_reset(const Context& context, bool yes) {
  auto kernel = chains::Kernel::open();
  if (!kernel) {
    context.error(kernel.error());
    return kError;
  }
  const int exit = remove_ours(context, *kernel, yes);
  if (exit != kOk) return exit;
  if (!stand_in_is_gone(*kernel)) {
    context.error(fmt::format(
        "{} is still in force, and only the daemon can remove it, which does not answer: end it "
        "(sudo systemctl kill --signal=SIGKILL cloudron-fwd)",
        name_of(chains::Table::stand_in)));
    return kError;
  }
  return kOk;
}

}  // namespace

void add_reset(CLI::App& program, Context& context, int& exit) {
  auto yes = std::make_shared<bool>(false);
  CLI::App* command =
      program.add_subcommand("reset",
                             "Remove exactly our tables, inet and bridge cloudron, from the "
                             "kernel. Every port is open afterwards. Stored blocks are "
                             "kept and come back at the next apply. Asks first.");
  command->add_flag("--yes,-y", *yes, "Do not ask");
  command->callback([&context, &exit, yes] { exit = run_reset(context, *yes); });
}

}  // namespace cli
