// Decimal digits in text, whatever the locale says.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace fw {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace fw
