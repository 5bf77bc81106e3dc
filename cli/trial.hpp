// What commands say and do about a policy on trial, and about a panic.
#pragma once

#include <optional>
#include <string>

#include "cli/context.hpp"
#include "fw/host/status.hpp"
#include "fw/host/trial.hpp"

namespace cli {

/// "POLICY is rolled back: what is in force now".
std::string rolled_back_text(const fw::TrialRecord& pending, const fw::RolledBack& done);

/// "60s" and the like, up to a day; prints what is wrong with it.
std::optional<std::chrono::seconds> trial_time(const Context& context, const std::string& text);

/// Rolls back what is due, and says so. With the lock held, before a change. False: it could not be
/// done, which is said too.
bool settle_trial(const Context& context);

/// The same; and false, with the remedy, while a trial is on.
bool no_trial_is_on(const Context& context);

/// While a trial is on, what the earlier policy had learned is kept, and is no difference.
chains::Unused unused_now(const Context& context);

/// At boot a trial of another boot, or one that is due, is over: its policy counts as rolled back.
void end_trial_at_boot(const Context& context);

/// What would lock its own caller out.
enum class Lockout { refuse, allow };

/// A trial from its guardian to its record; nothing when the policy changes nothing.
fw::Result<std::optional<fw::Trial>> apply_on_trial(const Context& context,
                                                    const LoadedPolicy& loaded,
                                                    std::chrono::seconds time, Lockout lockout,
                                                    fw::Shrunk shrunk);

/// How to go on, from a new session.
void print_trial(const Context& context, const std::string& policy, fw::WallTime until);

/// A panic, if there is one.
void print_panic(const Context& context, const fw::Trouble& trouble);
/// For `status` and `plan`: loud lines, or null in JSON.
void print_trouble(const Context& context, const fw::Trouble& trouble);
boost::json::value trial_json(const fw::Trouble& trouble);
boost::json::value panic_json(const fw::Trouble& trouble);
/// That the policy was rolled back, if it was.
void print_refused(const Context& context, const LoadedPolicy& loaded);

}  // namespace cli
