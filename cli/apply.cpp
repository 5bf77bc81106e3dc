// cloudron-fw apply
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include "cli/apps.hpp"
#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "cli/spinner.hpp"
#include "cli/trial.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/uplink.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

struct ApplyOptions {
  bool dry_run = false;
  bool boot = false;
  bool force = false;
  bool accept_lists = false;
  std::string confirm;  ///< how long the policy is on trial; "": not at all
};

/// For a boot that finds the store unusable; says so.
fw::Result<fw::Manager> manager_without_store(const Context& context, const fw::Error& why) {
  context.error(why);
  context.error("blocks are not in force until the state database is mended");
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  return fw::Manager(std::move(*kernel), context.state_dir, std::nullopt);
}

bool spoils_boot(const fw::Error& error, const ApplyOptions& options) {
  return options.boot && error.code == fw::ErrorCode::store;
}

/// The next boot goes on with what was just applied.
void remember(const Context& context, const LoadedPolicy& loaded, const ApplyOptions& options) {
  if (options.dry_run) return;
  if (!options.boot) {
    if (const auto done = fw::forget_refused(context.state_dir); !done) {
      context.warn("the next boot may take it for rolled back: " + to_string(done.error()));
    }
  }
  if (loaded.text) {
    const auto path = policy_file(context);
    if (const auto saved = fw::save_last_good(context.state_dir, path, *loaded.text); !saved) {
      context.warn("the policy is not remembered for the next boot: " + to_string(saved.error()));
    }
  } else if (!options.boot) {
    if (const auto done = fw::forget_last_good(context.state_dir); !done) {
      context.warn("the next boot may bring back an older policy: " + to_string(done.error()));
    }
  }
}

/// Bridges of containers: new flows from outside to what is on them pass by published ports only.
std::vector<std::string> closed_bridges(const LoadedPolicy& loaded, const fw::ApplyReport& report) {
  std::vector<std::string> out;
  for (const chains::Bridge& bridge : report.bridges) {
    if (chains::is_of_containers(bridge, loaded.policy)) out.push_back(bridge.name);
  }
  return out;
}

void print_report(const Context& context, const LoadedPolicy& loaded, const ApplyOptions& options,
                  const fw::ApplyReport& report, const fw::TrialRecord* trial) {
  const fw::Trouble trouble = fw::read_trouble(context.state_dir);
  const auto closed = closed_bridges(loaded, report);
  if (context.json) {
    json::array warnings;
    for (const std::string& warning : report.warnings) warnings.emplace_back(warning);
    for (const fw::Problem& problem : loaded.warnings) warnings.emplace_back(to_string(problem));
    context.print(json::object{{"policy", loaded.name},
                               {"changed", report.changed},
                               {"dry_run", options.dry_run},
                               {"confirmation", trial != nullptr ? trial_json(trouble) : nullptr},
                               {"panic", panic_json(trouble)},
                               {"first", report.first},
                               {"flows_admitted", report.flows_admitted},
                               {"flows_cut", report.flows_cut},
                               {"connections_entered", report.connections_entered},
                               {"bridges_filtered", report.bridges_filtered},
                               {"closed_bridges", json::array(closed.begin(), closed.end())},
                               {"difference", to_json(report.difference)},
                               {"lists", to_json(report.lists.reports)},
                               {"warnings", std::move(warnings)}});
    return;
  }
  if (report.bridges_filtered) {
    context.say(
        "packets within bridges pass the firewall now, of every bridge of this host "
        "(net.bridge.bridge-nf-call-iptables and -ip6tables are 1)");
  }
  if (!options.dry_run) print_panic(context, trouble);
  if (report.connections_entered != 0) {
    context.say(plural(report.connections_entered, "open connection was", "open connections were") +
                " no longer tracked (conntrack -F?), and is entered again");
  }
  if (!report.changed) {
    context.say(std::string(report.connections_entered != 0 ? "nothing else" : "nothing") +
                " to do: the kernel holds " + loaded.name +
                (options.confirm.empty() ? "" : ", and there is nothing to confirm"));
    return;
  }
  if (!closed.empty()) {
    context.say(
        fmt::format("closed from outside, but for published ports that are open: the "
                    "containers on {} ([apps] routed = [\"{}\"] opens such a bridge)",
                    fmt::join(closed, ", "), closed.front()));
  }
  const Tense tense = options.dry_run ? Tense::to_be_done : Tense::done;
  if (report.first) {
    fw::Difference contents{{}, report.difference.contents};
    context.say(fmt::format("table inet {}: {}, {}", chains::kTable,
                            options.dry_run ? "to be made" : "made",
                            plural(report.difference.rules.all, "line")));
    print_difference(context, contents, kLinesShown, tense);
    if (report.flows_admitted != 0) {
      context.say(
          plural(report.flows_admitted, "open connection goes on", "open connections go on"));
    }
  } else {
    print_difference(context, report.difference, kLinesShown, tense);
  }
  if (report.flows_cut != 0) {
    context.say(plural(report.flows_cut, "open connection") + " of blocked addresses cut");
  }
  if (trial != nullptr) return print_trial(context, name_of(*trial), trial->until_wall);
  context.say(context.styled(
      options.dry_run ? Style::yellow : Style::green,
      options.dry_run ? "dry run: nothing was changed" : loaded.name + " is in force"));
}

/// Exit code after a report was printed.
int end(const Context& context, const fw::ApplyReport& report) {
  for (const std::string& warning : report.warnings) context.warn(warning);
  print_lists(context, report.lists.reports);
  return report.lists.has_problems() || !report.warnings.empty() ? kPartly : kOk;
}

/// With the lock held. Nothing when the policy changes nothing: then it is applied as any other.
std::optional<int> run_on_trial(const Context& context, const LoadedPolicy& loaded,
                                const ApplyOptions& options, std::chrono::seconds time) {
  const auto trial =
      apply_on_trial(context, loaded, time, options.force ? Lockout::allow : Lockout::refuse,
                     options.accept_lists ? fw::Shrunk::accept : fw::Shrunk::keep_last_good);
  if (!trial) {
    context.error(trial.error());
    return kError;
  }
  if (!*trial) return {};
  if (const auto on = fw::switch_on(context.state_dir); !on) context.warn(to_string(on.error()));
  record_apply(context, loaded, (*trial)->report);
  print_report(context, loaded, options, (*trial)->report, &(*trial)->pending);
  return end(context, (*trial)->report);
}

/// What a boot puts in force: the policy on trial while its time is not over.
LoadedPolicy load_at_boot(const Context& context) {
  const auto pending = fw::read_trial_record(context.state_dir);
  auto desired = fw::desired_policy(context.state_dir, fw::this_moment());
  if (!pending || desired.why != fw::DesiredPolicy::Why::on_trial) return load_some_policy(context);
  LoadedPolicy loaded;
  loaded.policy = std::move(desired.policy);
  loaded.warnings = fw::check(loaded.policy);
  loaded.name = name_of(*pending) + ", which waits for its confirmation,";
  loaded.unused = desired.unused;
  return loaded;
}

void add_absent_interfaces(LoadedPolicy& loaded) {
  for (fw::Problem& problem : fw::ssh_by_absent_interfaces(loaded.policy)) {
    loaded.warnings.push_back(std::move(problem));
  }
}

/// Says so; at boot, and with force, that is all.
bool takes_lan_for_apps(const Context& context, const LoadedPolicy& loaded,
                        const ApplyOptions& options) {
  const auto problems = fw::uplinks_among_apps(loaded.policy, fw::read_uplink());
  context.problems(problems);
  if (problems.empty() || options.boot || options.force) return false;
  context.error("nothing was changed; use --force to apply anyway");
  return true;
}

int run_apply(Context& context, const ApplyOptions& options) {
  context.boot = options.boot;
  context.apps = Context::Apps::asked;
  std::chrono::seconds trial{0};
  if (!options.confirm.empty()) {
    const auto time = trial_time(context, options.confirm);
    if (!time) return kUsage;
    trial = *time;
  }
  std::optional<LoadedPolicy> loaded = options.boot ? load_at_boot(context) : load_policy(context);
  if (!loaded) {
    context.error("the policy has errors: nothing was changed");
    return kError;
  }
  if (!options.boot) add_absent_interfaces(*loaded);  // they may come after a boot
  context.problems(loaded->warnings);
  if (takes_lan_for_apps(context, *loaded, options)) return kError;
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock && !options.boot) {
    context.error(lock.error());
    return kError;
  }
  if (!options.dry_run) remember_apps(context, *loaded);
  if (options.boot) {
    end_trial_at_boot(context);
  } else if (options.dry_run) {
    loaded->unused = unused_now(context);
  } else if (!no_trial_is_on(context)) {
    return kError;
  }
  if (trial.count() != 0) {
    if (const auto done = run_on_trial(context, *loaded, options, trial)) return *done;
  }
  auto manager = open_manager(context);
  if (!manager && spoils_boot(manager.error(), options)) {
    manager = manager_without_store(context, manager.error());
  }
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  if (!options.boot && !options.force) manager->refuse_lockout(own_session);
  if (options.accept_lists) manager->accept_lists();
  const auto apply = [&] {
    const Spinner waiting(context, "applying " + loaded->name);
    return manager->apply(loaded->policy,
                          options.dry_run ? fw::ApplyMode::dry_run : fw::ApplyMode::commit,
                          loaded->unused);
  };
  auto report = apply();
  if (!report && manager->store() && spoils_boot(report.error(), options)) {
    manager = manager_without_store(context, report.error());
    if (manager) report = apply();
  }
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  if (!report) {
    context.error(report.error());
    return kError;
  }
  if (!options.dry_run) {
    if (const auto on = fw::switch_on(context.state_dir); !on) context.warn(to_string(on.error()));
  }
  // Before anything is printed: whoever reads the output may stop, which ends this process.
  if (loaded->unused == chains::Unused::remove) remember(context, *loaded, options);
  if (!options.dry_run) record_apply(context, *loaded, *report);
  print_report(context, *loaded, options, *report, nullptr);
  const int exit = end(context, *report);
  return manager->store() ? exit : kPartly;
}

}  // namespace

void add_apply(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* command = program.add_subcommand(
      "apply",
      "Compile the policy and make the kernel hold it, in one transaction.\n"
      "The kernel holds the old rules or the new ones, never a mix; what did not change keeps its "
      "counters, limits and timers. Connections that are open when the firewall is first made go "
      "on. Prints what changed; says so when there is nothing to do.");
  CLI::Option* const dry_run =
      command->add_flag("--dry-run", options->dry_run, "Only print what would change");
  CLI::Option* const confirm =
      command
          ->add_option("--confirm", options->confirm,
                       "Roll back after so long (60s, 5m; at most 1d), unless 'confirm' comes "
                       "first")
          ->type_name("TIME")
          ->check(not_empty)
          ->excludes(dry_run);
  command->add_flag("--force", options->force,
                    "Go on even if this SSH session could not come in again, or no SSH port is "
                    "open");
  command->add_flag("--accept-lists", options->accept_lists,
                    "Take lists as they are, even if they lost more than half of their entries");
  command
      ->add_flag(
          "--boot", options->boot,
          "For the systemd unit: with a missing or broken policy apply the last good one, or "
          "else the built-in default, and say so in the journal")
      ->excludes(confirm)
      ->group("At boot");
  command->callback([&context, &exit, options] {
    // What one step gives back the next one takes: fewer pages that the kernel makes empty.
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    exit = run_apply(context, *options);
  });
}

}  // namespace cli
