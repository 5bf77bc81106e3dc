// cloudron-fw reset
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

int run(const Context& context, bool yes) {
  auto kernel = chains::Kernel::open();
  if (!kernel) {
    context.error(kernel.error());
    return kError;
  }
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) {
    context.error(lock.error());
    return kError;
  }
  const auto observed = kernel->read();
  if (!observed) {
    context.error(observed.error());
    return kError;
  }
  if (observed->table() == nullptr) {
    if (context.json) context.print(boost::json::object{{"removed", false}});
    context.say("nothing to do: there is no table of ours");
    return kOk;
  }
  if (!yes && !agreed()) {
    context.error("not removed: answer 'y', or say --yes");
    return kError;
  }
  const auto generation = kernel->generation();
  if (!generation) {
    context.error(generation.error());
    return kError;
  }
  chains::Batch batch(*generation);
  chains::encode_remove_table(batch);
  if (const auto done = kernel->commit(batch); !done) {
    context.error(done.error());
    return kError;
  }
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
