// cloudron-fw panic
#include <algorithm>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"

namespace cli {
namespace {

struct PanicOptions {
  std::string what;
  bool force = false;
};

/// The state with one caller more; of too many the earliest is forgotten.
fw::PanicState with_caller(const std::optional<fw::PanicState>& before,
                           const std::optional<fw::Session>& caller) {
  fw::PanicState state = before.value_or(fw::PanicState{fw::wall_clock(), {}});
  auto& callers = state.panic.callers;
  if (!caller) return state;
  std::erase(callers, caller->remote);
  callers.push_back(caller->remote);
  if (callers.size() > fw::kPanicCallersMax) callers.erase(callers.begin());
  return state;
}

/// Would anybody be let in by SSH?
bool somebody_gets_in(const Context& context, const fw::Policy& policy,
                      const fw::PanicState& state) {
  if (!policy.trusted.empty() || !state.panic.callers.empty()) return true;
  context.error(
      "nobody could log in any more: the policy trusts no network, and this is no SSH session; "
      "on the console use --force to do it anyway");
  return false;
}

/// Durable first: a boot or an apply that comes in between does the same.
fw::Result<fw::ApplyReport> put_in_force(const Context& context, fw::Manager& manager,
                                         const fw::DesiredPolicy& desired,
                                         const std::optional<fw::PanicState>& before,
                                         const std::optional<fw::PanicState>& after) {
  if (auto saved = fw::save_panic(context.state_dir, after); !saved) {
    return std::unexpected(saved.error());
  }
  // After a reset there is nothing to call off in the kernel.
  if (!after && fw::switched_off(context.state_dir)) return fw::ApplyReport{};
  auto report = manager.apply(desired.policy, fw::ApplyMode::commit, desired.unused);
  if (!report) (void)fw::save_panic(context.state_dir, before);
  return report;
}

int run_panic(const Context& context, const PanicOptions& options) {
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) {
    context.error(lock.error());
    return kError;
  }
  (void)settle_trial(context);
  auto manager = open_manager(context);
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  const bool on = options.what == "on";
  const auto desired = fw::desired_policy(context.state_dir, fw::this_moment());
  const auto before = fw::read_panic(context.state_dir);
  std::optional<fw::PanicState> after;
  if (on) after = with_caller(before, own_session());
  if (on && !options.force && !somebody_gets_in(context, desired.policy, *after)) return kError;
  if (!on && !before) {
    if (context.json) context.print(boost::json::object{{"panic", nullptr}});
    context.say("nothing to do: there is no panic");
    return kOk;
  }
  const auto report = put_in_force(context, *manager, desired, before, after);
  if (!report) {
    context.error(report.error());
    return kError;
  }
  if (on) {
    if (const auto done = fw::switch_on(context.state_dir); !done) context.error(done.error());
  }
  record(context, &desired.policy, "panic", options.what, {});
  const fw::Trouble trouble = fw::read_trouble(context.state_dir);
  if (context.json) context.print(boost::json::object{{"panic", panic_json(trouble)}});
  if (on) {
    print_panic(context, trouble);
  } else {
    context.say(context.styled(Context::Style::green, "the panic is over"));
  }
  for (const std::string& warning : report->warnings) context.warn(warning);
  return report->warnings.empty() ? kOk : kPartly;
}

}  // namespace

void add_panic(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<PanicOptions>();
  CLI::App* command = program.add_subcommand(
      "panic",
      "on: drop all new connections, of apps too, except SSH from trusted networks and from the "
      "address of one's own SSH session; what is connected goes on. It outlives applies and "
      "reboots. off: the rules from before, with what their limits had counted.");
  command->add_option("WHAT", options->what, "on or off")
      ->required()
      ->check(CLI::IsMember({"on", "off"}));
  command->add_flag("--force", options->force, "Even when nobody could log in any more");
  command->callback([&context, &exit, options] { exit = run_panic(context, *options); });
}

}  // namespace cli
