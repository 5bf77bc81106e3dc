// A real ACME server (Pebble), with the DNS server that it asks.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/e2e/nginx.hpp"
#include "tests/lab/network.hpp"
#include "tests/lab/process.hpp"

namespace lab {

/// It refuses a twentieth of all nonces, and refused.example.org. All names are `host`, until the
/// DNS server is told otherwise.
class Pebble {
 public:
  Pebble(const Namespace& outside, fw::Family family, const Ip& host)
      : outside_(outside),
        address_(bracketed(gateway_address(family))),
        own_(outside, dir_.path(), {"pebble.example.org"}) {
    write_file(dir_ / "pebble.json", fmt::format(R"({{"pebble": {{"listenAddress": "[::]:14000",
  "managementListenAddress": "[::]:15000", "certificate": "{}", "privateKey": "{}",
  "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "domainBlocklist": ["refused.example.org"]}}}})",
                                                 own_.certificate, own_.key));
    const bool six = family == fw::Family::ipv6;
    dns_.emplace(outside,
                 std::vector<std::string>{"pebble-challtestsrv", "-dns01", ":8053", "-http01", "",
                                          "-https01", "", "-tlsalpn01", "", "-management", ":8055",
                                          "-defaultIPv4", six ? "" : to_string(host),
                                          "-defaultIPv6", six ? to_string(host) : ""});
    server_.emplace(
        outside, std::vector<std::string>{"env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=5",
                                          "pebble", "-config", dir_ / "pebble.json", "-strict",
                                          "-dnsserver", "127.0.0.1:8053"});
    if (!eventually([this] { return !root().empty(); }))
      fail("Pebble does not start: " + server_->err_so_far());
  }

  /// Of its ACME interface, as the host reaches it.
  std::string directory() const { return "https://" + address_ + ":14000/dir"; }
  /// The certificate that signs its others, in PEM; "" while it does not answer.
  std::string root() const {
    return run(outside_, {"curl", "-sSfk", "https://127.0.0.1:15000/roots/0"}).out;
  }
  /// A request of pebble-challtestsrv: "add-a", with its object.
  void tell_dns(const std::string& what, const std::string& json) const {
    must_run(outside_, {"curl", "-sSf", "-d", json, "http://127.0.0.1:8055/" + what});
  }

 private:
  const Namespace& outside_;
  std::string address_;
  TempDir dir_;
  SelfSigned own_;
  std::optional<Process> dns_;
  std::optional<Process> server_;
};

}  // namespace lab
