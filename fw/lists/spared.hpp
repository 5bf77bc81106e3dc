// Address space that block lists never block: published lists of bogons hold it, and a host lives
// by it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "fw/lists/address_set.hpp"

namespace fw {

struct Spared {
  IpRange range;
  std::string why;  ///< "a private network"

  bool operator==(const Spared&) const = default;
};
using SparedSpace = std::vector<Spared>;

/// Unspecified, loopback, link-local, private, shared and multicast addresses of both families.
const SparedSpace& special_space();

AddressSet set_of(const SparedSpace& spared);

/// Finds what of it an entry touches; for most entries at the cost of one look.
class SparedIndex {
 public:
  explicit SparedIndex(const SparedSpace& spared);

  /// Nothing, or the first that fits.
  const Spared* touched(const IpRange& range) const;
  /// False: surely nothing.
  bool may_touch(const Span4& span) const {
    for (std::uint32_t octet = span.first >> 24; octet <= span.last >> 24; ++octet) {
      if (octets_[octet]) return true;
    }
    return false;
  }

 private:
  const SparedSpace& spared_;
  std::array<bool, 256> octets_{};  ///< first octets of the IPv4 part
};

}  // namespace fw
