// Address sets on disk, each in a file named by its digest.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "fw/base/file.hpp"
#include "fw/lists/address_set.hpp"

namespace fw {

/// The name of a set's file: "<digest>.set".
std::string set_file_name(const Digest& digest);

/// True when the file is there with the right name, header and size; its content is not read.
bool has_set_file(const std::string& folder, const Digest& digest);

/// The set, its content checked against the digest. A file that is absent or is not what it should
/// be is an error of code io.
Result<AddressSet> read_set_file(const std::string& folder, const Digest& digest);

/// On disk when the call returns, but for the folder's entry (sync_folder).
Result<void> write_set_file(const File& folder, const Digest& digest, const AddressSet& set);

}  // namespace fw
