// The names of hosts that an audit is asked for, and their addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/plugins/tls/audit/starttls.hpp"

namespace fw::tls {

struct HostName {
  std::string name;        ///< a name of DNS, or an address as to_string writes it
  std::uint16_t port = 0;  ///< 0: none was written

  bool operator==(const HostName&) const = default;
};

/// "wiki.example.org", "wiki.example.org:8443", "192.0.2.1:443", "2001:db8::1",
/// "[2001:db8::1]:443". An error says what is wrong with it.
Result<HostName> parse_host(std::string_view text);

/// Where a protocol is spoken if nobody says else.
std::uint16_t default_port(Starttls protocol);

/// One address of each family, IPv6 first; an address is its own. Asks the system's resolver.
Result<std::vector<Ip>> resolve(const std::string& name);

}  // namespace fw::tls
