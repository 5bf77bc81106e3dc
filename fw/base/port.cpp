// Ports as text.
#include "fw/base/port.hpp"

#include <fmt/format.h>

namespace fw {

std::string to_string(const PortRange& range) {
  if (range.single()) return fmt::format("{}/{}", to_string(range.protocol), range.first);
  return fmt::format("{}/{}-{}", to_string(range.protocol), range.first, range.last);
}

}  // namespace fw
