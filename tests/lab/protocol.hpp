// What a client says first, and how the server's answer begins.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace lab {

struct Protocol {
  std::string word;    ///< "": the server speaks first
  std::string answer;  ///< "": whatever it is
};

}  // namespace lab
