// Weaknesses in the confinement of containers. Pure: values in, findings out.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/docker/container.hpp"
#include "fw/plugins/finding.hpp"
#include "fw/policy/policy.hpp"

namespace fw::sandbox {

/// Of one container: the gravest first, at most kFindingsMax; a last one says how many more there
/// are. Where the engine lacks something for all containers, engine_findings() says so, once.
std::vector<Finding> findings(const docker::Container& container, const docker::Engine& engine,
                              const Policy& policy);

/// Of the Docker daemon: what it gives to no container.
std::vector<Finding> engine_findings(const docker::Engine& engine);

}  // namespace fw::sandbox
