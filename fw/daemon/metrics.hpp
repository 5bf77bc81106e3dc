// Counts in the format of Prometheus (docs/metrics.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "fw/daemon/counts.hpp"

namespace fw {

/// The text exposition format, version 0.0.4.
std::string metrics_text(const Counts& counts);

}  // namespace fw
