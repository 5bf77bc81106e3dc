// Hashes names of accounts and sites with the secret of the keys.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "limiter/hash.hpp"

namespace fw::services {

/// A to Z count as a to z: else each way to write an account would have a budget. `kind` keeps
/// different things of one name apart.
inline std::uint64_t hash_text(const limiter::Secret& secret, std::string_view text,
                               std::uint32_t kind) {
  using limiter::Key;
  std::uint64_t state = limiter::hash(secret, Key{0, text.size(), 0, kind});
  for (std::size_t i = 0; i < text.size(); i += 8) {
    std::uint64_t word = 0;
    for (std::size_t k = i; k < std::min(i + 8, text.size()); ++k) {
      const auto byte = static_cast<unsigned char>(text[k]);
      const bool upper = byte >= 'A' && byte <= 'Z';
      word = word << 8 | static_cast<std::uint64_t>(upper ? byte + 32 : byte);
    }
    state = limiter::hash(secret, Key{state, word, 0, kind});
  }
  return state;
}

}  // namespace fw::services
