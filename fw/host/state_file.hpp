// Small files of the state folder: read whole, replaced whole.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "fw/base/result.hpp"

namespace fw {

/// The text of a regular file of at most `most` bytes; nothing when there is none that can be read.
std::optional<std::string> read_state_file(const std::string& state_dir, const char* name,
                                           std::size_t most);

/// On disk when it returns; makes the folder if need be.
Result<void> write_state_file(const std::string& state_dir, const char* name,
                              const std::string& text);

/// Gone from the disk when it returns; that there was none is no error.
Result<void> remove_state_file(const std::string& state_dir, const char* name);

}  // namespace fw
