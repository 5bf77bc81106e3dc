// Encodes transactions as the messages of a batch.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "chains/netlink/batch.hpp"
#include "chains/transaction.hpp"

namespace chains {

/// Appends a plan's removals, then its additions.
void encode(const Plan& plan, Batch& batch);

/// Appends the updates in their order: millions of elements if need be, 16 bytes for an IPv4
/// address, 40 for an IPv4 range.
void encode(const std::vector<SetUpdate>& updates, Batch& batch);

/// All of it, for its generation.
Batch encode(const Transaction& transaction);

/// Removes one of our tables with everything in it.
void encode_remove_table(Table table, Batch& batch);

/// Makes the stand-in, in place of another if it replaces one. Its owner is the socket that commits
/// it: no other program can change or remove it ("flush ruleset" passes it by), and it goes with
/// the socket.
void encode_stand_in(const Ruleset& rules, bool replaces, Batch& batch);

/// The kind of a private note in a rule's userdata, in addition to nft's comment: the policy
/// location.
inline constexpr std::uint8_t kUdataLocation = 0x43;

}  // namespace chains
