// Numbers and times as people read them, in what operations and commands say.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "fw/base/result.hpp"
#include "fw/store/blocks.hpp"

namespace fw::ops {

std::string grouped(std::uint64_t number);  ///< 1,234,567
std::string plural(std::uint64_t n, const char* one, const char* many = nullptr);
/// "2d 3h left", "permanently", "ended".
std::string until_text(const std::optional<WallTime>& until, WallTime now);
/// The error, and that root is needed where it is that.
std::string error_text(const Error& error);
/// "2d 3h", "14m 5s": two units are enough to know what one has.
std::string rough_text(std::chrono::seconds length);
std::string time_text(WallTime time);  ///< 2026-11-23 14:03:11Z

}  // namespace fw::ops
