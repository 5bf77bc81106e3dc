// The requests of the control socket, as values (docs/control.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fw/store/activity.hpp"
#include "fw/store/blocks.hpp"

namespace fw::ops {

/// For whom the other end asks, as it says; it may change what it likes.
struct Behalf {
  std::string user;
  std::optional<std::uint32_t> uid;  ///< absent: that of the other end
  std::string tty;
  std::string remote;
};

/// What every request has.
struct RequestHead {
  std::string verb;            ///< "block", "status" ...
  std::string state_dir;       ///< that is meant; "": whichever the daemon keeps
  std::optional<Behalf> by{};  ///< for whom it is done; absent: for the other end
};

/// A command has made an apply that changed something.
struct AppliedRequest {
  std::uint64_t took_us = 0;
};

/// Of requests that say nothing but what they are.
struct NoFields {};

struct BlocksRequest {
  std::size_t count = 10'000;  ///< at most
};
inline constexpr std::size_t kBlocksTold = 50'000;  ///< the most that count may be

/// Which of these are blocked, as far as packets go? Each is one address.
struct BlockedRequest {
  std::vector<IpRange> addresses;
};
struct BlockedReport {
  std::vector<IpRange> blocked;  ///< of those that were asked about, in their order
};

struct CountsRequest {
  std::size_t sources = 10;  ///< how many of the busiest
};

struct ActivityRequest {
  WallTime since{};
  std::int64_t after = 0;  ///< only rows with a greater id
  std::size_t count = 1000;
  std::string what;  ///< only rows of that kind; "": of all
};

struct ActivityReport {
  std::vector<Activity> activity;
};

}  // namespace fw::ops
