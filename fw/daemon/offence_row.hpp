// An offender's block as the details of its row of the activity log, and back.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "fw/base/address.hpp"
#include "fw/daemon/offenders.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

boost::json::object to_json(const BanDecision& decision, WallTime end);

/// What the next decision needs of an earlier one.
struct ReadOffence {
  IpRange range;
  unsigned times = 1;
  WallTime end{};

  bool operator==(const ReadOffence&) const = default;
};
/// Nothing when the details are of another version.
std::optional<ReadOffence> read_offence(const std::string& details);

}  // namespace fw
