// What the kernel holds besides what it should, and what it counted: as `status` tells it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fw/host/apply.hpp"
#include "fw/host/panic.hpp"
#include "fw/host/settings.hpp"
#include "fw/host/trial_record.hpp"

namespace fw {

/// Rules of other tables that take admissions away or give them, as a sentence; "" when there are
/// none. They work with the bits of connection labels that the policy says are ours.
Result<std::string> label_trouble(chains::Kernel& kernel, const Policy& policy);

struct LimitCounts {
  std::string name;
  Rate rate;
  std::uint64_t accepted = 0;    ///< connections
  std::uint64_t refused = 0;     ///< packets: a client that is refused asks again
  std::uint64_t overflowed = 0;  ///< connections that shared one budget, for the meter was full
  std::uint64_t sources = 0;     ///< tracked now, in both families
  std::uint64_t fullest = 0;     ///< those of the fuller meter

  bool operator==(const LimitCounts&) const = default;
};

/// Asks the kernel only for what `observed` does not tell: elements of sets, before Linux 6.16.
Result<LimitCounts> count_limit(chains::Kernel& kernel, const chains::Observed& observed,
                                const Limit& limit);
/// Packets that were dropped, by the counter's name.
std::map<std::string, std::uint64_t> count_dropped(const chains::Observed& observed);
/// Connections that were admitted by the id of their entry, for it holds no label: another program
/// cleared it, or it is older than the rules.
std::uint64_t count_unlabelled(const chains::Observed& observed);

/// What is unusual: a panic, a policy on trial.
struct Trouble {
  std::optional<PanicState> panic;
  bool nobody_gets_in = false;  ///< in that panic, by SSH
  bool off = false;             ///< `reset` was the last word
  struct Trial {
    std::string policy;  ///< its name
    WallTime until{};
    std::chrono::milliseconds left{0};

    bool operator==(const Trial&) const = default;
  };
  std::optional<Trial> trial;  ///< with nothing left: over, and not rolled back yet

  bool operator==(const Trouble&) const = default;
};
Trouble read_trouble(const std::string& state_dir);

struct Status {
  bool present = false;         ///< the table is in the kernel
  bool equal = false;           ///< and as it should be
  std::size_t differences = 0;  ///< lines and sets
  struct Port {
    std::string port;  ///< "tcp/443"
    std::uint64_t flows = 0;

    bool operator==(const Port&) const = default;
  };
  std::vector<Port> ports;
  struct Limited {
    LimitCounts counts;
    std::vector<std::string> ports;  ///< "tcp/443"
    Source from = Source::outside;
    LimitKey per = LimitKey::ip;

    bool operator==(const Limited&) const = default;
  };
  std::vector<Limited> limits;
  std::map<std::string, std::uint64_t> dropped;
  std::uint64_t unlabelled = 0;  ///< as count_unlabelled()
  std::vector<ListReport> lists;
  std::vector<WeakSetting> settings;
  std::vector<std::string> warnings;  ///< what keeps the rules from doing what they should
};

/// Compares as a dry run does, and changes nothing. For whom a port is open is said by `applied`,
/// the policy that the kernel holds.
Result<Status> read_status(Manager& manager, const Policy& policy, const Policy& applied,
                           chains::Unused unused, ListUse use = ListUse::read);

}  // namespace fw
