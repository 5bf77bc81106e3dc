// Hashes keys to 64 bits that an outsider cannot predict.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>

namespace limiter {

/// Known to one process only: who does not know it cannot choose keys that meet in one bucket.
struct Secret {
  std::array<std::uint64_t, 4> words{};

  /// From the kernel. Aborts when it has none to give, which Linux does not do after boot.
  static Secret random();
};

/// What is counted: an address or prefix (IPv4 in the low 32 bits of `low`), and for what.
struct Key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::uint32_t limit = 0;
  std::uint32_t app = 0;

  bool operator==(const Key&) const = default;
};

namespace detail {

__extension__ using Wide = unsigned __int128;

/// Both halves of a product, folded: every bit of it depends on every bit of both factors.
constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace detail

constexpr std::uint64_t hash(const Secret& secret, std::uint64_t key) {
  const auto& s = secret.words;
  return detail::fold(detail::fold(key ^ s[0], s[1]) ^ s[2], s[3] ^ key);
}

constexpr std::uint64_t hash(const Secret& secret, const Key& key) {
  const auto& s = secret.words;
  const std::uint64_t what = std::uint64_t{key.limit} << 32 | key.app;
  const std::uint64_t address = detail::fold(key.high ^ s[0], key.low ^ s[1]);
  return detail::fold(address ^ s[2], detail::fold(what ^ s[3], key.low ^ s[0]) ^ s[1]);
}

}  // namespace limiter
