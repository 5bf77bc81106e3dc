// Changes of the kernel's rulesets as they happen, and who makes them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <linux/netlink.h>
#include <sys/types.h>

#include "fw/base/result.hpp"

namespace chains {

/// One transaction of any program.
struct RulesetChange {
  std::uint32_t generation = 0;  ///< after it
  pid_t pid = 0;                 ///< of the process, in the first PID namespace; 0: it is not said
  std::string process;           ///< its name, at most 15 bytes, which it chose itself
  bool ours = false;             ///< it touched a table cloudron of ours
  bool only_elements = false;    ///< of that table: nothing but elements of sets
  std::uint32_t port = 0;        ///< of the netlink socket that made it
  bool removed = false;          ///< that table is gone

  bool operator==(const RulesetChange&) const = default;
};

/// Puts messages together to changes: those of a transaction come first, the new generation last.
class ChangeReader {
 public:
  /// True when the message ends a change, which is then in `out`. What is malformed is skipped.
  bool read(const nlmsghdr* message, RulesetChange& out);

  std::uint64_t malformed() const { return malformed_; }

 private:
  bool ours_ = false;
  bool other_than_elements_ = false;
  bool removed_ = false;
  std::uint64_t malformed_ = 0;
};

class RulesetWatch {
 public:
  /// In the network namespace of the calling thread. Needs CAP_NET_ADMIN there.
  static fw::Result<RulesetWatch> open(std::size_t buffer_bytes = std::size_t{1} << 20);

  RulesetWatch(RulesetWatch&&) noexcept;
  RulesetWatch& operator=(RulesetWatch&&) noexcept;
  ~RulesetWatch();

  /// Readable while drain() has something to do.
  int fd() const;

  struct Drained {
    std::span<const RulesetChange> changes;  ///< last until the next call
    bool lost = false;  ///< messages found no room: anything may have changed since the last call
  };
  /// What happened since the last call; never waits.
  fw::Result<Drained> drain();

  /// Between the two nothing is reported: who commits very much may do so while no one needs to
  /// hear of each element. After resuming, check whether the generation is the expected one.
  void pause() const;
  void resume() const;

  struct Counts {
    std::uint64_t changes = 0;
    std::uint64_t lost = 0;       ///< messages
    std::uint64_t malformed = 0;  ///< skipped
  };
  Counts counts() const;

 private:
  struct State;
  explicit RulesetWatch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chains
