// [advanced]: how the firewall works with other software.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {

Table advanced_table() {
  return with_keys(
      {.name = "advanced", .defines = "how the firewall works with other software"},
      {number_key<Policy>("ct_label_bit", &Policy::label_bit, 0, 128 - kLabelBits, "`96`",
                          "the first of the 32 bits of connection labels in which the firewall "
                          "keeps its decision about a connection. It does not touch other bits or "
                          "connection marks"),
       number_key<Policy>("nflog_group", &Policy::nflog_group, 0, 65'535, "`2828`",
                          "the NFLOG group that gets copies of refused packets, for the daemon; "
                          "0: no copies"),
       {{"translated", at_most("array of IPv6 networks", kTranslatedMax),
         "`[\"64:ff9b::/96\", \"64:ff9b:1::/48\"]`",
         "prefixes of translators (NAT64): each address in them counts as one client"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.translated = in.translated(value);
        }}});
}

}  // namespace fw
