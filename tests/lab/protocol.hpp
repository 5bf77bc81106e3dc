// What a client says first, and how the server's answer begins.
#pragma once

#include <string>

namespace lab {

struct Protocol {
  std::string word;    ///< "": the server speaks first
  std::string answer;  ///< "": whatever it is
};

}  // namespace lab
