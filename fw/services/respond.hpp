// How a request is answered: at once, or when the answer is known.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>

namespace fw::services {

enum class Responded : std::uint8_t {
  now,    ///< the response was appended
  later,  ///< it is not known yet: the same request is asked again
};

/// Has the request asked again. Called later, not at once; its client may be gone by then.
using Again = std::function<void()>;

}  // namespace fw::services
