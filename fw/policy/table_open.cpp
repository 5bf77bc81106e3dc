// [[open]]: what is open for some sources or interfaces.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

void read_opening(Section& section, const Keys<Opening>& keys) {
  Draft& draft = section.draft();
  Opening opening;
  opening.where = section.where();
  const std::size_t before = draft.values.problem_count();
  keys.read(section, opening);
  if (draft.values.problem_count() != before) return draft.doubt(Doubt::ports);
  if (opening.ports.empty() && opening.protocols.empty())
    section.error("[[open]] opens nothing; add e.g. ports = [9100] or protocols = [\"vrrp\"]");
  if (!opening.ports.empty() && opening.for_all_sources() && opening.interfaces.empty()) {
    section.error(
        "[[open]] does not say for whom; add e.g. from = [\"192.0.2.0/24\"] or "
        "interfaces = [\"wg0\"], or open the ports to all in [ports]");
  }
  draft.policy.openings.push_back(std::move(opening));
}

}  // namespace

Table open_table() {
  return with_keys<Opening>(
      {.name = "open",
       .defines = "ports and IP protocols that are open for some sources or interfaces",
       .max = kOpeningsMax},
      {{{"ports", at_most("array of ports", kOpeningPortsMax), "`[]`",
         "ports of the host, or published by containers"},
        [](ValueReader& in, const Value& value, Opening& opening) {
          opening.ports = in.plain_ports(value, kOpeningPortsMax);
        }},
       {{"protocols", "array of names and numbers", "`[]`", "IP protocols"},
        [](ValueReader& in, const Value& value, Opening& opening) {
          opening.protocols = in.protocols(value);
        }},
       {{"from", at_most("array of networks and names of [lists](#list)", kOpeningNetworksMax),
         "every source", "who may connect"},
        [](ValueReader& in, const Value& value, Opening& opening) {
          in.sources(value, opening.from, opening.lists);
        }},
       {{"interfaces", at_most("array of names", kInterfacesMax), "all",
         "on which interfaces they may arrive; `\"wg*\"` means every interface whose name begins "
         "with `wg`"},
        [](ValueReader& in, const Value& value, Opening& opening) {
          opening.interfaces = in.interfaces(value, "wg0");
        }}},
      read_opening);
}

}  // namespace fw
