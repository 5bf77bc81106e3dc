// Which clients behind proxies are blocked: what the daemon said of them lately, and what it has
// yet to say.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/services/respond.hpp"

namespace fw::services {

/// Answers are used for kFresh, and kBlockedKnownMax of them are kept at most. One question is
/// under way at a time, for all clients that wait then; what the daemon does not answer counts as
/// not blocked, and is counted.
class BlockedClients {
 public:
  /// Since any beginning that all calls share.
  using Time = std::chrono::milliseconds;

  static constexpr Time kFresh{800};

  /// Nothing: it has to be asked for.
  std::optional<bool> known(Ip client, Time now);
  /// `again` is called when it is known. The next question has it.
  void wait_for(Ip client, Again again) { waiting_[client].push_back(std::move(again)); }

  /// The clients of the next question, kBlockedAskedMax at most; none: nobody waits, or a question
  /// is under way. Each that is not empty is followed by answered().
  std::vector<Ip> next_question();
  /// Those of them that are blocked; nothing: there was no answer. Wakes who waits for them.
  void answered(const std::vector<Ip>& asked, const std::optional<std::vector<Ip>>& blocked,
                Time now);

  /// Requests that passed because the daemon did not answer.
  std::uint64_t unanswered() const { return unanswered_; }
  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  using Answers = std::map<Ip, bool>;

  void age(Time now);

  // What was answered in this half of kFresh, and in the one before.
  Answers young_;
  Answers old_;
  Time since_{};  ///< when young_ began
  std::map<Ip, std::vector<Again>> waiting_;
  bool under_way_ = false;
  std::uint64_t unanswered_ = 0;
};

}  // namespace fw::services
