// Bits of connection labels.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/admission.hpp"

#include <algorithm>

namespace chains {

Bytes operator|(const Bytes& a, const Bytes& b) {
  Bytes out(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>((i < a.size() ? a[i] : 0) | (i < b.size() ? b[i] : 0));
  }
  return out;
}

bool has_bits(const Bytes& label, const Bytes& mask) {
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (((i < label.size() ? label[i] : 0) & mask[i]) != mask[i]) return false;
  }
  return true;
}

Bytes Admission::bits(std::initializer_list<int> which) const {
  Bytes out(16);
  for (const int bit : which) {
    const auto at = static_cast<std::size_t>(first_bit_ + bit);
    out[at / 8] = static_cast<std::uint8_t>(out[at / 8] | 1u << at % 8);
  }
  return out;
}

bool Admission::admits(const Bytes& label) const {
  for (int life = 0; life < fw::kLives; ++life) {
    if (has_bits(label, over(life))) continue;
    return has_bits(label, counted(life)) && !has_bits(label, refused(life));
  }
  return false;
}

Bytes Admission::decisions() const {
  Bytes out;
  for (int life = 0; life < fw::kLives; ++life) {
    out = out | counted(life) | refused(life) | syn(life) | over(life) | client_closed(life) |
          server_closed(life);
  }
  return out;
}

Bytes Admission::all() const { return seen() | closed() | decisions(); }

}  // namespace chains
