// The daemon's own blocks of offenders.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/bans.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/daemon/clocks.hpp"
#include "fw/daemon/offence_row.hpp"
#include "fw/store/activity.hpp"

namespace fw {
namespace {

constexpr std::chrono::seconds kGuardKeep{1};  // what a guard knows of the host's networks

}  // namespace

Bans::Bans(Shared& shared, MakeBlock make_block)
    : shared_(shared), make_block_(std::move(make_block)) {}

void Bans::begin() {
  guard_.reset();
  offenders_.emplace(shared_.in_force.policy());
  take_up_offences();
}

/// Blocks of the past count for repetition, across restarts too.
void Bans::take_up_offences() {
  std::chrono::seconds longest{0};
  for (const Offender& rule : shared_.in_force.policy().offenders) {
    longest = std::max(longest, rule.max);
  }
  if (longest.count() == 0) return;
  auto log = ActivityLog::open(shared_.state_dir);
  if (!log) return;
  const auto rows = log->read(wall_clock() - 2 * longest, 0, kOffencesMax, "offender");
  if (!rows) return;
  for (const Activity& row : *rows) {
    const auto offence = read_offence(row.details);
    if (offence) offenders_->remember(offence->range, offence->times, offence->end);
  }
}

const BlockGuard& Bans::guard() {
  const auto now = steady_now();
  if (!guard_ || now > guard_read_until_) {
    guard_.emplace(shared_.in_force.policy(), read_own_network());
    guard_read_until_ = now + kGuardKeep;
    offenders_->know(*guard_);
  }
  return *guard_;
}

void Bans::refused(const chains::Refusal& refusal) {
  if (refusal.why == chains::Refusal::Why::limit) tell(refusal);
  (void)guard();  // fresh, for the offenders
  const auto due = offenders_->see(refusal, {steady_now(), wall_clock()});
  if (!due) return;
  // Later: what the lock's next holder does may end the feed that is being read.
  boost::asio::post(shared_.io, [this, decision = *due] { ban(decision); });
}

void Bans::tell(const chains::Refusal& refusal) {
  const auto& limits = shared_.in_force.policy().limits;
  const auto limit = std::ranges::find(limits, refusal.limit, &Limit::name);
  const std::string source = to_string(refusal.packet.source);
  shared_.messages.send(Level::info,
                        fmt::format("{} refused by limit {}", source, printable(refusal.limit)),
                        {{"LIMIT", refusal.limit},
                         {"SOURCE", source},
                         {"PORT", std::to_string(refusal.packet.destination_port)},
                         {"RULE", limit == limits.end() ? "" : to_string(limit->where)}});
}

void Bans::ban(const BanDecision& decision) {
  shared_.queue.with_lock(
      [this, decision] {
        const WallTime now = wall_clock();
        const std::string why = to_string(decision.evidence);
        const Block block{decision.range, now + decision.duration, why, "offender", now};
        if (const auto made = make_block_(block, now); !made) {
          return not_blocked(decision, made.error());
        }
        ++blocked_;
        const std::string who = to_string(decision.range);
        const std::string text =
            fmt::format("{} blocked for {}: {}", who, to_string(decision.duration), why);
        shared_.messages.send(Level::notice, text,
                              {{"SOURCE", who}, {"RULE", to_string(decision.where)}});
        shared_.recorder.record("offender", text, to_json(decision, now + decision.duration));
      },
      [this, decision](const Error& busy) { not_blocked(decision, busy); });
}

/// Not in the kernel either when it cannot be stored: nobody could lift it. The limit still
/// refuses.
void Bans::not_blocked(const BanDecision& decision, const Error& why) {
  offenders_->take_back(decision);
  shared_.messages.send(Level::error, fmt::format("{} is not blocked: {}",
                                                  to_string(decision.range), to_string(why)));
}

}  // namespace fw
