// The few rules that are in force between the loss of the table and its repair.
#pragma once

#include <cstdint>

#include "chains/ruleset.hpp"
#include "fw/policy/policy.hpp"

namespace chains {

/// What new flows may come in meanwhile: to the policy's open ports, or (in a panic) none at all.
enum class ShutBut : std::uint8_t { open_ports, nothing };

/// Lets in no new flow that the policy does not, to the host or to published ports, and no less of
/// known ones: there is no table any more that could tell which of them are admitted. Limits,
/// blocks and apps are not in it, so it is small: the kernel has it in a fraction of a millisecond.
Ruleset compile_shut(const fw::Policy& policy, ShutBut but);

}  // namespace chains
