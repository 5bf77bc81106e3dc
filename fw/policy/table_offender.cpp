// [[offender]]: when to block a source that limits keep refusing.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

void read_offender(Section& section, const Keys<Offender>& keys) {
  Offender offender;
  offender.where = section.where();
  keys.read(section, offender);
  if (!section.has("after") && !section.has("closed_ports"))
    section.error("[[offender]] lacks after; add e.g. after = \"20 refused/10m\"");
  if (!offender.refused && !offender.limits.empty())
    section.error("limits has no effect without after; add it, or remove limits");
  for (const auto& rate : {offender.refused, offender.closed_ports}) {
    if (!rate || rate->count <= kOffenderCountMax) continue;
    section.error(
        fmt::format("the count must be at most {}, not {}", kOffenderCountMax, rate->count));
  }
  if (offender.max < offender.block) {
    section.error(fmt::format("max = \"{}\" is less than block = \"{}\"", to_string(offender.max),
                              to_string(offender.block)));
  }
  section.draft().policy.offenders.push_back(std::move(offender));
}

}  // namespace

Table offender_table() {
  return with_keys<Offender>(
      {.name = "offender",
       .defines = "when to block a source that limits refuse again and again",
       .max = kOffendersMax},
      {{{"after", at_most("text", kOffenderCountMax) + " in a time", "",
         "number of refused connections, and the time in which they happen"},
        [](ValueReader& in, const Value& value, Offender& offender) {
          offender.refused = in.refusals(value);
        }},
       {{"limits", "array of names of limits", "all `outside` limits",
         "the limits whose refusals count"},
        [](ValueReader& in, const Value& value, Offender& offender) {
          offender.limits = in.limit_names(value);
        }},
       {{"closed_ports", at_most("rate", kOffenderCountMax), "",
         "number of different closed ports that a source tries, and the time: a port scan"},
        [](ValueReader& in, const Value& value, Offender& offender) {
          offender.closed_ports = in.rate(value);
        }},
       {{"block", "time", "`\"1h\"`",
         "how long a block lasts; doubled for each further one that comes within `max` after the "
         "end of the last"},
        [](ValueReader& in, const Value& value, Offender& offender) {
          offender.block = in.duration(value).value_or(offender.block);
        }},
       {{"max", "time", "`\"7d\"`", "the longest block"},
        [](ValueReader& in, const Value& value, Offender& offender) {
          offender.max = in.duration(value).value_or(offender.max);
        }}},
      read_offender);
}

}  // namespace fw
