// [metrics]: where the daemon answers Prometheus.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/policy_tables.hpp"

namespace fw {

Table metrics_table() {
  return with_keys({.name = "metrics", .defines = "the address that Prometheus scrapes"},
                   {{{"listen", "address and port: `\"127.0.0.1:9477\"`, `\"[::1]:9477\"`",
                      "none: off", "where the daemon listens"},
                     [](ValueReader& in, const Value& value, Policy& policy) {
                       policy.metrics = in.loopback(value);
                     }}});
}

}  // namespace fw
