// Blocking and unblocking: requests, the guard against blocking oneself, and what
// came of it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "chains/admission.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/host/block.hpp"
#include "fw/host/guard.hpp"
#include "fw/ops/policy.hpp"
#include "fw/store/store.hpp"

namespace fw::ops {

/// Addresses out of a file. What the guard objects to among them is left out, and the rest is done.
struct Listed {
  std::string name;  ///< of the file
  std::vector<IpRange> addresses;
};

struct BlockRequest {
  std::vector<IpRange> addresses;  ///< one objection to them, and nothing is done
  Listed listed;
  std::optional<std::chrono::seconds> lasts;  ///< absent: permanently
  std::string reason;
  std::string origin = "admin";
  int prefix6 = 128;   ///< of the network that stands for an IPv6 address: its client's
  bool force = false;  ///< whatever the guard objects to
};

struct UnblockRequest {
  std::vector<IpRange> addresses;
  Listed listed;
  std::string origin;  ///< only its blocks; "": those of all
  int prefix6 = 128;
};

struct LeftOut {
  std::size_t index = 0;  ///< in Listed::addresses
  Objection why;
};

/// What a block did. `blocked` is as it was asked for.
struct BlockReport {
  std::vector<Block> blocked;
  std::vector<Block> kept_longer;       ///< of the same origin, that lasted longer: they stay
  std::vector<Block> longer_by_others;  ///< of other origins, that last longer
  bool in_force = false;  ///< the kernel has it; else there is no table yet: the next apply does
  std::size_t flows_cut = 0;
  std::vector<std::string> warnings;
  std::vector<LeftOut> left_out{};
  /// What becomes of those that come through [trusted] proxies, whose packets are not theirs; "":
  /// there are no proxies.
  std::string behind_proxies{};
};

struct UnblockReport {
  std::vector<Block> unblocked;
  std::vector<Block> still_blocked_by;  ///< what remains and covers part of what was asked
  std::vector<IpRange> not_found;       ///< no block is equal to it or inside it
  bool in_force = false;
  std::vector<std::string> warnings;
  std::vector<LeftOut> left_out{};
};

/// With a prefix6 below 128, an IPv6 address stands for the client that has it: its network, but on
/// a link of the host's own the address alone.
std::vector<IpRange> clients(const BlockGuard& guard, std::vector<IpRange> addresses, int prefix6);

/// The first few, with the reasons, and how to go on: "use --force to block it anyway".
std::string objection_text(const std::vector<Objection>& objections, const std::string& remedy);

/// From where an actor is connected.
std::optional<Ip> remote_of(const Actor& actor);

/// What a store and a kernel that are open already are asked to do, with the state folder locked.
struct Opened {
  chains::Kernel& kernel;
  Store& store;
  chains::Admission admission;
};
/// Durable first, then in the kernel; `addresses` alone, and without asking the guard.
Result<BlockReport> block(const Opened& with, const BlockRequest& request, Cut cut);
Result<UnblockReport> unblock(const Opened& with, const UnblockRequest& request);

/// A line of the activity log, and its details.
struct Row {
  std::string summary;
  boost::json::object details;
};
Row row_of(const BlockRequest& request, const BlockReport& report);
Row row_of(const UnblockRequest& request, const UnblockReport& report);

/// The whole of it for a caller: by the daemon where it runs, which has store and kernel open, else
/// here. Recorded. `policy` is the one in force. Errors: the guard's objections (nothing is blocked
/// then) among others.
Result<BlockReport> block(const Environment& env, const LoadedPolicy& policy, BlockRequest request);
/// The policy is needed for what files list, and for prefix6.
Result<UnblockReport> unblock(const Environment& env, const PolicySource& source,
                              UnblockRequest request);

/// The first blocks by address, and how many there are.
struct BlockList {
  std::vector<Block> blocks;
  std::size_t all = 0;
};
/// The first `most` of a store.
Result<BlockList> blocks_of(Store& store, std::size_t most = SIZE_MAX);
/// All of them, or those that the daemon tells a caller who may not read the store.
Result<BlockList> blocks(const Environment& env);

}  // namespace fw::ops
