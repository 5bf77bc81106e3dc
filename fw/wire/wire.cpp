// The JSON of values: instantiated for the types that schemas.hpp names.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/wire/wire.hpp"

#include <boost/json/parse.hpp>

#include "fw/wire/instantiate.hpp"
#include "fw/wire/schemas.hpp"

namespace fw::wire {

CLOUDRON_FW_WIRE(Location)
CLOUDRON_FW_WIRE(Error)
CLOUDRON_FW_WIRE(Problem)
CLOUDRON_FW_WIRE(Block)
CLOUDRON_FW_WIRE(Objection)
template json::value to_json(const std::vector<Objection>&);
CLOUDRON_FW_WIRE(Difference)
CLOUDRON_FW_WIRE(ListReport)
CLOUDRON_FW_WIRE(LimitCounts)
CLOUDRON_FW_WIRE(WeakSetting)
CLOUDRON_FW_WIRE(Finding)
template json::value to_json(const std::vector<Finding>&);
CLOUDRON_FW_WIRE(AuditRow)
CLOUDRON_FW_WIRE(AuditSheet)
template json::value to_json(const std::vector<AuditSheet>&);
CLOUDRON_FW_WIRE(Status)
CLOUDRON_FW_WIRE(PanicState)
CLOUDRON_FW_WIRE(Trouble)
CLOUDRON_FW_WIRE(Trouble::Trial)
CLOUDRON_FW_WIRE(Actor)
CLOUDRON_FW_WIRE(Activity)
CLOUDRON_FW_WIRE(Counts)

namespace {

json::object behind(json::object first, json::value fields) {
  json::object& all = fields.as_object();
  first.reserve(first.size() + all.size());
  for (auto& field : all) first.insert_or_assign(field.key(), std::move(field.value()));
  return first;
}

}  // namespace

json::object versioned(json::value fields) { return behind({{"v", kVersion}}, std::move(fields)); }

json::object answer(json::value fields) {
  return behind({{"v", kVersion}, {"ok", true}}, std::move(fields));
}

json::object answer(const Error& error) {
  return {{"v", kVersion}, {"ok", false}, {"error", encode(error)}};
}

Result<json::object> read_answer(std::string_view line) {
  boost::system::error_code bad;
  json::value value = json::parse(line, bad);
  const json::object* const object = bad ? nullptr : value.if_object();
  const auto is = [object](const char* name, const json::value& what) {
    const json::value* const found = object != nullptr ? object->if_contains(name) : nullptr;
    return found != nullptr && *found == what;
  };
  if (!is("v", kVersion) || (!is("ok", true) && !is("ok", false))) {
    return fail(ErrorCode::unsupported,
                "the daemon is of another version: restart it (systemctl restart cloudron-fwd)");
  }
  if (is("ok", true)) return std::move(value.get_object());
  const json::value* const told = object->if_contains("error");
  auto error = told != nullptr ? from_json<Error>(*told)
                               : fail(ErrorCode::io, "the daemon refused, and did not say why");
  return std::unexpected(error ? std::move(*error) : std::move(error.error()));
}

}  // namespace fw::wire
