// The plugins that commands can ask.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>

#include "fw/plugins/plugin.hpp"

namespace fw {

/// In the order in which they are listed to people. Valid for ever.
std::span<const Plugin> plugins();

}  // namespace fw
