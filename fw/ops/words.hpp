// Numbers and times as people read them, in what operations and commands say.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fw/store/blocks.hpp"

namespace fw::ops {

std::string grouped(std::uint64_t number);  ///< 1,234,567
std::string plural(std::uint64_t n, const char* one, const char* many = nullptr);
/// "2d 3h left", "permanently", "ended".
std::string until_text(const std::optional<WallTime>& until, WallTime now);
std::string time_text(WallTime time);  ///< 2026-11-23 14:03:11Z

}  // namespace fw::ops
