// An offender's block as the details of its row of the activity log, and back.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/offence_row.hpp"

#include <cstdint>
#include <vector>

#include <boost/json/parse.hpp>

#include "fw/wire/codec.hpp"

namespace fw {
namespace {

struct OffenceRow {
  IpRange address;
  unsigned times = 1;
  WallTime end{};
  std::string what;
  std::uint64_t count = 0;
  std::vector<std::uint16_t> ports;
  WallTime first{};
  WallTime last{};
  std::string rule;  ///< the line of the policy
};

}  // namespace

template <>
struct wire::Schema<OffenceRow> {
  static void fields(auto& io, auto& row) {
    io.required("address", row.address);
    io.at_most("times", row.times, 1'000'000u);
    io.required("end", row.end);
    io.field("what", row.what);
    io.field("count", row.count);
    io.field("ports", row.ports);
    io.field("first", row.first);
    io.field("last", row.last);
    io.field("rule", row.rule);
  }
};

boost::json::object to_json(const BanDecision& decision, WallTime end) {
  const Evidence& evidence = decision.evidence;
  return wire::encode(OffenceRow{decision.range, decision.times, end, evidence.what, evidence.count,
                                 evidence.ports, evidence.first, evidence.last,
                                 to_string(decision.where)})
      .as_object();
}

std::optional<ReadOffence> read_offence(const std::string& details) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(details, error);
  if (error) return {};
  const auto row = wire::read<OffenceRow>(value);
  if (!row) return {};
  return ReadOffence{row->address, row->times, row->end};
}

}  // namespace fw
