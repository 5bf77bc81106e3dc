// [guests]: bridges of virtual machines and system containers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {

Table guests_table() {
  return with_keys<Policy>(
      {.name = "guests", .defines = "bridges of virtual machines and system containers"},
      {{{"bridges", at_most("array of names of interfaces", kInterfacesMax), "none",
         "bridges of libvirt, Incus or LXD"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.guests = in.interfaces(value, "virbr0");
        }}},
      [](Section& section, const Keys<Policy>& keys) {
        section.draft().policy.guests_where = section.where();
        keys.read(section, section.draft().policy);
      });
}

}  // namespace fw
