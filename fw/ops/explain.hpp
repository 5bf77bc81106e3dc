// What would happen to a connection, and which rules it meets.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chains/evaluate.hpp"
#include "fw/ops/policy.hpp"

namespace fw::ops {

struct ExplainRequest {
  PolicySource source;
  std::string from;             ///< who connects: an address, or "app:NAME"
  std::vector<std::string> to;  ///< "tcp/443", "ping"; or an addon, an app, an address, and a port
  std::string via;              ///< the interface that it comes in by; "": that of the route
  bool live = false;            ///< asks the kernel's rules, sets and budgets, not the policy's
};

/// One answer of a rule, or of the policy of a chain.
struct ExplainStep {
  std::string chain;
  std::string rule;  ///< nft syntax
  bool matched = false;
  Location where;
};

struct ExplainPacket {
  std::string packet;  ///< "the SYN"
  chains::Outcome verdict = chains::Outcome::unknown;
  std::string unknown;               ///< why it is not known; "" when it is
  std::vector<std::string> assumed;  ///< limits whose budget is not known, and taken as unspent
  std::vector<ExplainStep> steps;
};

/// The remaining budget of a limit for the client.
struct ExplainBudget {
  std::string limit;
  std::uint64_t left = 0;
  std::uint64_t of = 0;
  bool exact = true;                               ///< else: at least
  std::optional<std::chrono::milliseconds> until;  ///< when the next slot is free
};

struct ExplainAnswer {
  std::string question;  ///< "203.0.113.7 to tcp/22, a port of this host"
  chains::Outcome verdict = chains::Outcome::unknown;
  Location where;  ///< the policy line that decided; empty: what is built in
  std::vector<ExplainPacket> packets;
  std::vector<ExplainBudget> limits;
};

struct ExplainReport {
  bool live = false;
  std::vector<ExplainAnswer> answers;
  std::vector<std::string> notes;
};

/// One answer for each way in: a port that is published is asked for as input and as forward.
/// Errors: usage, when the words cannot be meant.
Result<ExplainReport> explain(const Environment& env, const ExplainRequest& request);

}  // namespace fw::ops
