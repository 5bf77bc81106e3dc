// [activity]: what the activity log keeps.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/size.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {

Table activity_table() {
  return with_keys(
      {.name = "activity", .defines = "how much the activity log keeps"},
      {{{"keep", "time", "`\"90d\"`", "how long `cloudron-fw activity` keeps an entry"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.activity.keep = in.duration(value).value_or(policy.activity.keep);
        }},
       {{"size",
         fmt::format("size, `\"{}\"` to `\"{}\"`", size_text(kActivityBytesMin),
                     size_text(kActivityBytesMax)),
         "`\"256MiB\"`", "how large the log may be"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.activity.bytes =
              in.size(value, kActivityBytesMin, kActivityBytesMax).value_or(policy.activity.bytes);
        }}});
}

}  // namespace fw
