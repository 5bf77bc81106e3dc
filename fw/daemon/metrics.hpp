// What is counted, as Prometheus reads it (docs/metrics.md).
#pragma once

#include <string>

#include "fw/daemon/counts.hpp"

namespace fw {

/// The text exposition format, version 0.0.4.
std::string metrics_text(const Counts& counts);

}  // namespace fw
