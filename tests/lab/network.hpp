// The networks that tests play in: the host under test, everybody outside, and apps on a bridge.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <string>

#include "fw/base/address.hpp"
#include "tests/lab/namespace.hpp"

namespace lab {

using fw::Family;
using fw::Ip;
using Mac = std::array<std::uint8_t, 6>;

/// The host itself: 203.0.113.1, 2001:db8:ffff::1.
Ip host_address(Family family);
/// The device end outside: 203.0.113.2, 2001:db8:ffff::2.
Ip gateway_address(Family family);
/// An address that `outside` owns and can connect from, n < 32768. In IPv6 each is of another /64.
Ip client(Family family, unsigned n);
/// The IPv6 client's neighbours in its /64.
Ip client_of_same_64(unsigned n, unsigned neighbour);
/// An address that the host can answer to, but nobody owns, n < 90000; in IPv6 each of another /64.
Ip stranger(Family family, unsigned n);
/// An app's or addon's address in the app network: 172.18.16.n, 2001:db8:172::16:n; 1 < n < 255.
Ip app_address(Family family, unsigned n);
/// The host's own address there, the apps' gateway.
Ip bridge_address(Family family);
/// "203.0.113.1" or "[2001:db8::1]", as it goes before a port.
std::string bracketed(Ip ip);

inline constexpr const char* kAppNetworks = "\"172.18.0.0/16\", \"2001:db8:172::/64\"";
inline constexpr Mac kHostMac{2, 0, 0, 0, 0, 1};
inline constexpr Mac kOutsideMac{2, 0, 0, 0, 0, 2};
inline constexpr Mac kBridgeMac{2, 0, 0, 0, 1, 1};

/// The host and the outside, joined by a pair of devices that are both named eth0.
class Network {
 public:
  Network();

  Namespace host;
  Namespace outside;
};

/// Who sits on the app bridge: an app or an addon.
struct App {
  Namespace inside;
  unsigned number = 0;
  Mac mac{};

  Ip address(Family family) const { return app_address(family, number); }
};

/// A bridge br0 on the host, which forwards and, for IPv4, masquerades, as Docker sets it up.
/// The host keeps bridged packets from its firewall (bridge-nf-call-* = 0) until someone asks.
class AppBridge {
 public:
  explicit AppBridge(const Network& network);

  /// One more on the bridge, with both its addresses.
  App& add(unsigned number);
  /// A host port leads to an app's port (destination NAT, for both families, like Docker's).
  void publish(std::uint16_t host_port, const App& app, std::uint16_t app_port);

 private:
  const Network& network_;
  std::list<App> apps_;
};

/// Runs "ip -batch" inside.
void ip_commands(const Namespace& where, const std::string& commands);

}  // namespace lab
