// Rows of the activity log.
#include "cli/record.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/store/activity.hpp"

namespace cli {

namespace json = boost::json;

const std::optional<fw::Session>& own_session() {
  static const std::optional<fw::Session> session = fw::session_of();
  return session;
}

void record(const Context& context, const fw::Policy* policy, const std::string& what,
            const std::string& summary, const json::object& details) {
  fw::ActivityBounds bounds{fw::kDurationMax, UINT64_MAX};
  if (policy != nullptr) bounds = {policy->activity.keep, policy->activity.bytes};
  auto log = fw::ActivityLog::open(context.state_dir);
  const auto added = log ? log->add({0, fw::wall_clock(), what, fw::actor_of(own_session()),
                                     summary, json::serialize(details)},
                                    bounds)
                         : fw::Result<std::int64_t>(std::unexpected(log.error()));
  if (!added) context.warn("this is not in the activity log: " + to_string(added.error()));
}

void record_apply(const Context& context, const LoadedPolicy& loaded,
                  const fw::ApplyReport& report) {
  if (!report.changed) return;
  constexpr std::size_t kLineShown = 200;
  json::array lines;
  for (const chains::DiffLine& line : report.difference.rules.lines) {
    if (lines.size() == fw::kActivityLinesMax) break;
    lines.emplace_back(
        fmt::format("{} {}: {}", line.sign, line.place, fw::printable(line.text, kLineShown)));
  }
  json::array contents;
  std::string summary =
      fmt::format("{}: {}", loaded.name, plural(report.difference.rules.all, "line"));
  for (const fw::ContentChange& change : report.difference.contents) {
    contents.push_back(
        json::object{{"what", change.what}, {"added", change.added}, {"removed", change.removed}});
    summary += fmt::format(", {} +{} -{}", change.what, change.added, change.removed);
  }
  record(context, loaded.stands_in ? nullptr : &loaded.policy, "apply", fw::printable(summary, 256),
         {{"policy", fw::printable(loaded.name, kLineShown)},
          {"first", report.first},
          {"took_us", report.took.count()},
          {"lines", report.difference.rules.all},
          {"first_lines", std::move(lines)},
          {"contents", std::move(contents)},
          {"flows_cut", report.flows_cut}});
}

}  // namespace cli
