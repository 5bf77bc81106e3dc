// Text files that an admin wrote.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <expected>
#include <string>

namespace fw {

/// Everything up to the end of the file, or a bit more than `most` bytes. Errors: errno, or -1 for
/// what is not a regular file; a FIFO does not hang it.
std::expected<std::string, int> read_text_file(const std::string& path, std::size_t most);

/// In words.
const char* why_unreadable(int error);

}  // namespace fw
