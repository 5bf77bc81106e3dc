// The few rules that stand in for our tables after another program has removed them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "chains/ruleset.hpp"
#include "fw/policy/policy.hpp"

namespace chains {

/// What new flows the stand-in lets in: to the policy's open ports, or (in a panic) none at all.
enum class StandInOpen : std::uint8_t { open_ports, nothing };

/// A table in addition to ours, which no other program can remove. While ours is gone, it lets in
/// no new flow that the policy does not, to the host or to published ports, and passes what belongs
/// to known ones. Once ours is back, it passes every flow that ours has seen and let in. It knows
/// no limits, blocks or apps. With it connection tracking and labels stay on, which a ruleset
/// without any user of theirs switches off.
Ruleset compile_stand_in(const fw::Policy& policy, StandInOpen open);

}  // namespace chains
