// [ports]: what is open from outside.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

/// Keys come in any order, and leave the ports of each other alone.
std::vector<Located<PortRange>> without(Protocol protocol, std::vector<Located<PortRange>> ports) {
  std::erase_if(ports, [=](const auto& port) { return port.value.protocol == protocol; });
  return ports;
}

void read_tcp(ValueReader& in, const Value& value, Policy& policy) {
  policy.ports_where = in.where(value);
  const auto udp = without(Protocol::tcp, std::move(policy.open_ports));
  policy.open_ports = in.ports(value, Protocol::tcp);
  policy.open_ports.insert(policy.open_ports.end(), udp.begin(), udp.end());
}

void read_udp(ValueReader& in, const Value& value, Policy& policy) {
  policy.open_ports = without(Protocol::udp, std::move(policy.open_ports));
  for (auto& port : in.ports(value, Protocol::udp)) policy.open_ports.push_back(std::move(port));
}

}  // namespace

Table ports_table() {
  return with_keys(
      {.name = "ports",
       .defines = "ports of the host that are open from outside",
       .doubt = Doubt::ports},
      {{{"tcp", "array of ports", "`[22, 80, 202, 443]`", "TCP ports open from outside"}, read_tcp},
       {{"udp", "array of ports", "`[]`", "UDP ports open from outside"}, read_udp},
       {{"discovery", "true or false", "`false`", "true lets mDNS and SSDP in, for a host at home"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.local_discovery = in.boolean(value).value_or(false);
        }}});
}

}  // namespace fw
