// Words in messages: input made safe to print, and the known word nearest to it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace fw {

/// Text from outside as it may be shown on a terminal: control, bidirectional and invisible
/// characters and bytes that are not UTF-8 become escapes, and what is longer than `shown_max`
/// characters ends in "...".
std::string printable(std::string_view text, std::size_t shown_max = 64);

/// A value: the same in double quotes, with quotes and backslashes escaped.
std::string quote(std::string_view text);

/// The known word that `word` is most likely a slip of: upper for lower case, - for _, a few
/// letters wrong, missing or swapped, or the end left off. Empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace fw
