// cloudron-fw apply
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/waiting.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

constexpr std::size_t kLinesShown = 40;

struct Options {
  bool dry_run = false;
  bool boot = false;
};

/// For a boot that finds the store unusable; says so.
fw::Result<fw::Manager> manager_without_store(const Context& context, const fw::Error& why) {
  context.error(why);
  context.error("blocks are not in force until the state database is mended");
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  return fw::Manager(std::move(*kernel), context.state_dir, std::nullopt);
}

bool spoils_boot(const fw::Error& error, const Options& options) {
  return options.boot && error.code == fw::ErrorCode::store;
}

/// The next boot goes on with what was just applied.
void remember(const Context& context, const LoadedPolicy& loaded, const Options& options) {
  if (options.dry_run) return;
  if (loaded.text) {
    const auto path = context.policy_path.empty() ? kDefaultPolicy : context.policy_path;
    if (const auto saved = fw::save_last_good(context.state_dir, path, *loaded.text); !saved) {
      context.warn("the policy is not remembered for the next boot: " + to_string(saved.error()));
    }
  } else if (!options.boot) {
    if (const auto done = fw::forget_last_good(context.state_dir); !done) {
      context.warn("the next boot may bring back an older policy: " + to_string(done.error()));
    }
  }
}

void print_report(const Context& context, const LoadedPolicy& loaded, const Options& options,
                  const fw::ApplyReport& report) {
  if (context.json) {
    json::array warnings;
    for (const std::string& warning : report.warnings) warnings.emplace_back(warning);
    for (const fw::Problem& problem : loaded.warnings) warnings.emplace_back(to_string(problem));
    context.print(json::object{{"policy", loaded.name},
                               {"changed", report.changed},
                               {"dry_run", options.dry_run},
                               {"first", report.first},
                               {"flows_admitted", report.flows_admitted},
                               {"flows_cut", report.flows_cut},
                               {"bridges_filtered", report.bridges_filtered},
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
  if (!report.changed) {
    context.say("nothing to do: the kernel holds " + loaded.name);
    return;
  }
  const Tense tense = options.dry_run ? Tense::to_be_done : Tense::done;
  if (report.first) {
    fw::Difference contents{{}, report.difference.contents};
    context.say(fmt::format("table inet {}: {}, {}", chains::kTable,
                            options.dry_run ? "to be made" : "made",
                            plural(report.difference.lines.size(), "line")));
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
  context.say(context.styled(
      options.dry_run ? Style::yellow : Style::green,
      options.dry_run ? "dry run: nothing was changed" : loaded.name + " is in force"));
}

int run(Context& context, const Options& options) {
  context.boot = options.boot;
  std::optional<LoadedPolicy> loaded;
  if (options.boot) {
    loaded = load_some_policy(context);
  } else {
    loaded = load_policy(context);
  }
  if (!loaded) {
    context.error("the policy has errors: nothing was changed");
    return kError;
  }
  context.problems(loaded->warnings);
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock && !options.boot) {
    context.error(lock.error());
    return kError;
  }
  auto manager = open_manager(context);
  if (!manager && spoils_boot(manager.error(), options)) {
    manager = manager_without_store(context, manager.error());
  }
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  const auto apply = [&] {
    const Waiting waiting(context, "applying " + loaded->name);
    return manager->apply(loaded->policy,
                          options.dry_run ? fw::ApplyMode::dry_run : fw::ApplyMode::commit);
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
  print_report(context, *loaded, options, *report);
  for (const std::string& warning : report->warnings) context.warn(warning);
  print_lists(context, report->lists.reports);
  remember(context, *loaded, options);
  const bool partly =
      report->lists.has_problems() || !report->warnings.empty() || !manager->store();
  return partly ? kPartly : kOk;
}

}  // namespace

void add_apply(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "apply",
      "Compile the policy and make the kernel hold it, in one transaction.\n"
      "The kernel holds the old rules or the new ones, never a mix; what did not change keeps its "
      "counters, limits and timers. Connections that are open when the firewall is first made go "
      "on. Prints what changed; says so when there is nothing to do.");
  command->add_flag("--dry-run", options->dry_run, "Only print what would change");
  command
      ->add_flag(
          "--boot", options->boot,
          "For the systemd unit: with a missing or broken policy apply the last good one, or "
          "else the built-in default, and say so in the journal")
      ->group("At boot");
  command->callback([&context, &exit, options] { exit = run(context, *options); });
}

}  // namespace cli
