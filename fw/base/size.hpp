// Sizes as people write them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fw/base/result.hpp"

namespace fw {

/// "512KiB", "256MiB", "2GiB": a whole number and a unit; in bytes.
Result<std::uint64_t> parse_size(std::string_view text);

/// The largest unit that is exact; of a number of whole KiB.
std::string size_text(std::uint64_t bytes);

}  // namespace fw
