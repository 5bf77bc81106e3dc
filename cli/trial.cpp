// A policy on trial: beginning, settling, and telling of it.
#include "cli/trial.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/guardian.hpp"
#include "cli/record.hpp"
#include "cli/spinner.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"

namespace cli {

namespace json = boost::json;
using Style = Context::Style;

std::string rolled_back_text(const fw::TrialRecord& pending, const fw::RolledBack& done) {
  std::string now = "the last confirmed policy is in force";
  if (done.why == fw::DesiredPolicy::Why::built_in) now = "the built-in default policy is in force";
  if (done.removed) now = "there is no firewall, as before";
  return fmt::format("{} is rolled back: {}", name_of(pending), now);
}

std::optional<std::chrono::seconds> trial_time(const Context& context, const std::string& text) {
  const auto time = fw::parse_duration(text);
  if (time && *time <= fw::kTrialMax) return *time;
  context.error("--confirm " + (time ? text + ": at most 1d" : to_string(time.error())));
  return {};
}

bool settle_trial(const Context& context) {
  const auto overdue = fw::roll_back_if_due(context.state_dir, fw::this_moment(), fw::wall_clock());
  if (!overdue) {
    context.error("a trial that nobody confirmed is not rolled back: " +
                  to_string(overdue.error()));
    return false;
  }
  if (*overdue) {
    const std::string what =
        "nobody confirmed in time: " + rolled_back_text((*overdue)->pending, (*overdue)->done);
    context.warn(what);
    record(context, nullptr, "rollback", what, {});
  }
  return true;
}

bool no_trial_is_on(const Context& context) {
  if (!settle_trial(context)) return false;
  const auto pending = fw::read_trial_record(context.state_dir);
  if (!pending) return true;
  context.error(fmt::format(
      "{} waits for its confirmation ({}): nothing was changed; first keep it (cloudron-fw "
      "confirm) or go back (cloudron-fw rollback)",
      name_of(*pending), until_text(pending->until_wall, fw::wall_clock())));
  return false;
}

chains::Unused unused_now(const Context& context) {
  return fw::desired_policy(context.state_dir, fw::this_moment()).unused;
}

void end_trial_at_boot(const Context& context) {
  const auto pending = fw::read_trial_record(context.state_dir);
  if (!pending || !is_due(*pending, fw::this_moment())) return;
  const auto done = fw::abandon_trial(context.state_dir, *pending, fw::wall_clock());
  if (!done) context.error(done.error());
}

fw::Result<std::optional<fw::Trial>> apply_on_trial(const Context& context,
                                                    const LoadedPolicy& loaded,
                                                    std::chrono::seconds time, Lockout lockout,
                                                    fw::Shrunk shrunk) {
  auto guardian = Guardian::start(context);
  if (!guardian) return std::unexpected(guardian.error());
  auto manager = open_manager(context);
  if (!manager) return std::unexpected(manager.error());
  if (lockout == Lockout::refuse) manager->refuse_lockout(own_session);
  if (shrunk == fw::Shrunk::accept) manager->accept_lists();
  fw::TrialRecord pending;
  pending.path = policy_file(context);
  pending.text = loaded.text;
  const Spinner waiting(context, "applying " + loaded.name);
  return fw::begin_trial(*manager, context.state_dir, loaded.policy, std::move(pending), time,
                         [&](const fw::TrialRecord&) { guardian->watch(); });
}

void print_trial(const Context& context, const std::string& policy, fw::WallTime until) {
  context.say(context.styled(
      Style::yellow, fmt::format("{} is on trial until {} ({}), and is then rolled back", policy,
                                 time_text(until), until_text(until, fw::wall_clock()))));
  context.say("to keep it, log in again and run: sudo cloudron-fw confirm");
  context.say("to go back at once: sudo cloudron-fw rollback");
}

void print_panic(const Context& context, const fw::Trouble& trouble) {
  if (!trouble.panic) return;
  std::string callers;
  for (const fw::Ip caller : trouble.panic->panic.callers) callers += ", " + to_string(caller);
  if (trouble.off) {
    context.say(context.styled(
        Style::red,
        "the panic is not in force since 'cloudron-fw reset', and comes back with the "
        "next apply or boot; call it off: sudo cloudron-fw panic off"));
    return;
  }
  const std::string since = time_text(trouble.panic->since);
  context.say(context.styled(
      Style::red,
      trouble.nobody_gets_in
          ? fmt::format("PANIC since {}: all new connections are dropped, SSH too: nobody can log "
                        "in until 'cloudron-fw panic off'",
                        since)
          : fmt::format("PANIC since {}: all new connections are dropped, except SSH from trusted "
                        "networks{}; call it off: sudo cloudron-fw panic off",
                        since, callers)));
}

void print_trouble(const Context& context, const fw::Trouble& trouble) {
  print_panic(context, trouble);
  if (!trouble.trial) return;
  if (trouble.trial->left.count() > 0) {
    return print_trial(context, trouble.trial->policy, trouble.trial->until);
  }
  context.say(context.styled(
      Style::red, fmt::format("the trial of {} is over, and not rolled back yet: cloudron-fw "
                              "rollback",
                              trouble.trial->policy)));
}

void print_refused(const Context& context, const LoadedPolicy& loaded) {
  if (!loaded.text) return;
  const auto at = fw::refused_at(context.state_dir, *loaded.text, fw::this_moment());
  if (!at) return;
  context.say(context.styled(Style::yellow,
                             fmt::format("{} was rolled back at {}: a boot does not apply it, "
                                         "cloudron-fw apply does",
                                         loaded.name, time_text(*at))));
}

json::value trial_json(const fw::Trouble& trouble) {
  if (!trouble.trial) return nullptr;
  const auto left = std::chrono::ceil<std::chrono::seconds>(trouble.trial->left);
  return json::object{{"policy", trouble.trial->policy},
                      {"until", time_text(trouble.trial->until)},
                      {"seconds_left", left.count()}};
}

json::value panic_json(const fw::Trouble& trouble) {
  if (!trouble.panic) return nullptr;
  json::array callers;
  for (const fw::Ip caller : trouble.panic->panic.callers) callers.emplace_back(to_string(caller));
  return json::object{{"since", time_text(trouble.panic->since)}, {"callers", std::move(callers)}};
}

}  // namespace cli
