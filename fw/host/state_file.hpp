// Small files of the state folder: read whole, replaced whole or made longer.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "fw/base/result.hpp"

namespace fw {

/// The text of a regular file of at most `most` bytes; nothing when there is none that can be read.
std::optional<std::string> read_state_file(const std::string& state_dir, const char* name,
                                           std::size_t most);

/// Tells one file from the next, and from itself with more behind it; "": there is none.
std::string identity_of_state_file(const std::string& state_dir, const char* name);

/// On disk when it returns; makes the folder if need be.
Result<void> write_state_file(const std::string& state_dir, const char* name,
                              const std::string& text);

/// Behind what the file holds, which must be there. Not waited for: what a crash takes away of it,
/// and what it tears, the reader must be able to miss.
Result<void> append_state_file(const std::string& state_dir, const char* name,
                               const std::string& text);

/// Gone from the disk when it returns; that there was none is no error.
Result<void> remove_state_file(const std::string& state_dir, const char* name);

}  // namespace fw
