// Times as text: RFC 3339 in UTC, with milliseconds.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fw/store/blocks.hpp"

namespace fw::wire {

/// "2026-11-27T10:30:00.000Z". Years 1 to 9999.
std::string rfc3339(WallTime time);

/// Also without a fraction or with more digits, and with an offset in place of Z. Nothing for
/// anything else, or a date that no calendar has.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace fw::wire
