// An address and a port, as something listens on them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fw/base/address.hpp"

namespace fw {

struct Endpoint {
  Ip ip;
  std::uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

/// "127.0.0.1:9477", "[::1]:9477"; port 1 to 65535.
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_string(const Endpoint& endpoint);

/// 127.0.0.0/8 or ::1: only the host itself reaches it.
bool is_loopback(Ip ip);

}  // namespace fw
