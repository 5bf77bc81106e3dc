// What commands say about a policy on trial, and about a panic.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/trial.hpp"

#include <fmt/format.h>

#include "fw/host/host_facts.hpp"

namespace cli {

using Style = Context::Style;

void print_trial(const Context& context, const std::string& policy, fw::WallTime until) {
  context.say(context.styled(
      Style::yellow, fmt::format("{} is on trial until {} ({}), then it is rolled back", policy,
                                 time_text(until), until_text(until, fw::wall_clock()))));
  // Without it they would not find the sites.
  const std::string where = context.nginx.empty() ? "" : " --nginx " + context.nginx;
  context.say("to keep it, log in again and run: sudo cloudron-fw confirm" + where);
  context.say("to go back at once: sudo cloudron-fw rollback" + where);
}

void print_panic(const Context& context, const fw::Trouble& trouble) {
  if (!trouble.panic) return;
  std::string callers;
  for (const fw::Ip caller : trouble.panic->panic.callers) callers += ", " + to_string(caller);
  if (trouble.off) {
    context.say(context.styled(
        Style::red,
        "the panic is suspended since 'cloudron-fw reset', and returns at the next apply or "
        "boot; to end it: sudo cloudron-fw panic off"));
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
                        "networks{}; to end it: sudo cloudron-fw panic off",
                        since, callers)));
}

void print_trouble(const Context& context, const fw::Trouble& trouble) {
  print_panic(context, trouble);
  if (!trouble.trial) return;
  if (trouble.trial->left.count() > 0) {
    return print_trial(context, trouble.trial->policy, trouble.trial->until);
  }
  context.say(context.styled(
      Style::red, fmt::format("the trial of {} is over, but not rolled back yet; run: cloudron-fw "
                              "rollback",
                              trouble.trial->policy)));
}

void print_refused(const Context& context, const std::string& policy,
                   const std::optional<fw::WallTime>& rolled_back) {
  if (!rolled_back) return;
  context.say(context.styled(Style::yellow,
                             fmt::format("{} was rolled back at {}: it is not applied at boot; "
                                         "to apply it: cloudron-fw apply",
                                         policy, time_text(*rolled_back))));
}

}  // namespace cli
