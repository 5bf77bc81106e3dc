// The plugins that commands can ask.
#pragma once

#include <span>

#include "fw/plugins/plugin.hpp"

namespace fw {

/// In the order in which they are listed to people. Valid for ever.
std::span<const Plugin> plugins();

}  // namespace fw
