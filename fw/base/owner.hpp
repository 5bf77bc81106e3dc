// The owner of the files in the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace fw {

/// Gives an open file, which root may just have made, to whom its folder belongs: the daemon runs
/// as a user of its own, and root's commands work in its folder. Nothing happens unless root asks.
void give_to_owner(int fd, int folder_fd);
/// The same with the folder's path.
void give_to_owner(int fd, const std::string& folder);

}  // namespace fw
