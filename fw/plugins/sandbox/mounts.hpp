// What a container sees of the host's files and devices.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "fw/docker/container.hpp"
#include "fw/plugins/finding.hpp"

namespace fw::sandbox {

/// Appends what is weak in bind mounts and in devices. Volumes are Docker's own files.
void add_mounts(const docker::Container& container, std::vector<Finding>& out);
void add_devices(const docker::Container& container, std::vector<Finding>& out);

}  // namespace fw::sandbox
