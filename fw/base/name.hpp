// Names of limits, lists, apps and addons: they become parts of names of kernel objects.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace fw {

/// a-z, 0-9, '-' and '_', a letter first, at most kNameLengthMax.
bool valid_name(std::string_view name);

/// The valid name nearest to what was written; "" when nothing of it can stay.
std::string mended_name(std::string_view name);

}  // namespace fw
