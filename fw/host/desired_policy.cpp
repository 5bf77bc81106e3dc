// Which policy the kernel must hold.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/desired_policy.hpp"

#include "fw/effective/policy.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/last_good.hpp"

namespace fw {

DesiredPolicy desired_policy(const std::string& state_dir, const Moment& now, Kept& kept) {
  const auto record = read_trial_record(state_dir);
  if (!record || is_due(*record, now)) return confirmed(kept);
  DesiredPolicy out{DesiredPolicy::Why::on_trial, default_policy(), chains::Unused::keep, false};
  if (!record->text) return out;
  Parsed parsed = parse_policy(*record->text, record->path);
  if (!parsed.ok()) return confirmed(kept);
  auto discovered = with_remembered(std::move(parsed.policy), kept.inventory);
  out.policy = std::move(discovered.policy);
  out.contested = discovered.contested;
  return out;
}

DesiredPolicy confirmed(Kept& kept) {
  const std::optional<Policy>& last_good = kept.last_good.read();
  if (!last_good)
    return {DesiredPolicy::Why::built_in, default_policy(), chains::Unused::remove, false};
  auto discovered = with_remembered(*last_good, kept.inventory);
  return {DesiredPolicy::Why::confirmed, std::move(discovered.policy), chains::Unused::remove,
          discovered.contested};
}

}  // namespace fw
