// [trusted]: sources that are never limited.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/policy_tables.hpp"

namespace fw {

Table trusted_table() {
  return with_keys({.name = "trusted", .defines = "sources that are never limited"},
                   {{{"networks", "array of networks", "`[]`",
                      "sources that are never counted or limited, and that no list blocks"},
                     [](ValueReader& in, const Value& value, Policy& policy) {
                       policy.trusted = in.networks(value);
                     }},
                    {{"proxies", "array of networks", "`[]`",
                      "CDNs and load balancers in front of this host: their connections to the web "
                      "ports are not limited, and X-Forwarded-For is believed from them alone"},
                     [](ValueReader& in, const Value& value, Policy& policy) {
                       policy.proxies = in.networks(value);
                     }}});
}

}  // namespace fw
