// cloudron-fw reset
#include <cerrno>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "chains/netlink/encode.hpp"
#include "cli/commands.hpp"
#include "fw/host/lock.hpp"

namespace cli {
namespace {

bool agreed() {
  if (isatty(STDIN_FILENO) == 0) return false;
  fmt::print(
      stderr,
      "This removes the table 'inet {}' with all limits, blocks and the admin's own rules in "
      "it:\nevery port of this host is open afterwards. Go on? [y/N] ",
      chains::kTable);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

constexpr int kTries = 10;

/// Whether there was a table to remove.
fw::Result<bool> remove_table(chains::Kernel& kernel) {
  for (int attempt = 1;; ++attempt) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    chains::encode_remove_table(batch);
    const auto done = kernel.commit(batch);
    if (done) return true;
    if (done.error().sys_errno == ENOENT) return false;
    const bool busy = done.error().code == fw::ErrorCode::kernel_busy;
    if (!busy || attempt == kTries) return std::unexpected(done.error());
  }
}

int nothing_to_do(const Context& context) {
  if (context.json) context.print(boost::json::object{{"removed", false}});
  context.say("nothing to do: there is no table of ours");
  return kOk;
}

int run(const Context& context, bool yes) {
  auto kernel = chains::Kernel::open();
  if (!kernel) {
    context.error(kernel.error());
    return kError;
  }
  const auto observed = kernel->read();
  if (!observed) {
    context.error(observed.error());
    return kError;
  }
  if (observed->table() == nullptr) return nothing_to_do(context);
  if (!yes && !agreed()) {
    context.error("not removed: answer 'y', or say --yes");
    return kError;
  }
  // Not before the question: nobody should have to wait for the answer.
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) context.warn("removing the table without the lock: " + to_string(lock.error()));
  const auto removed = remove_table(*kernel);
  if (!removed) {
    context.error(removed.error());
    return kError;
  }
  if (!*removed) return nothing_to_do(context);
  if (context.json) context.print(boost::json::object{{"removed", true}});
  context.say(
      fmt::format("table inet {} removed; blocks are kept for the next apply", chains::kTable));
  return kOk;
}

}  // namespace

void add_reset(CLI::App& program, Context& context, int& exit) {
  auto yes = std::make_shared<bool>(false);
  CLI::App* command = program.add_subcommand(
      "reset",
      "Remove exactly our table from the kernel. Every port is open afterwards. Stored blocks are "
      "kept and come back at the next apply. Asks first.");
  command->add_flag("--yes,-y", *yes, "Do not ask");
  command->callback([&context, &exit, yes] { exit = run(context, *yes); });
}

}  // namespace cli
