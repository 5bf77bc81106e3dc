// What the daemon does for a command, if it runs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/daemon_client.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/ops/requests.hpp"
#include "fw/service/client.hpp"
#include "fw/wire/wire.hpp"

namespace fw::ops {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kPatience{20};
constexpr std::chrono::seconds kCountsPatience{5};
constexpr std::chrono::milliseconds kTellPatience{500};  // where nothing depends on the answer

RequestHead head(const Environment& env, const char* verb) {
  return {verb, std::filesystem::absolute(env.state_dir).lexically_normal().string()};
}

template <class Request>
std::string line_of(const RequestHead& head, const Request& request) {
  json::object out = wire::to_json(head).as_object();
  const json::value asked = wire::to_json(request);
  for (const auto& [name, value] : asked.get_object()) out[name] = value;
  return json::serialize(out);
}

template <class Report>
Result<Report> told(const Environment& env, const std::string& line,
                    std::chrono::milliseconds patience = kPatience) {
  const auto answer = fw::ask(env.socket, line, patience);
  if (!answer) return std::unexpected(answer.error());
  auto fields = wire::read_answer(*answer);
  if (!fields) return std::unexpected(fields.error());
  return wire::from_json<Report>(*fields);
}

/// A change that can as well be made here: without an answer, or with one of a daemon of another
/// version (unsupported) or state (missing), it counts as no daemon. What is done twice is done
/// once.
template <class Report, class Request>
std::optional<Result<Report>> change(const Environment& env, const char* verb,
                                     const Request& request) {
  // Where there is no daemon this is all it costs.
  if (::access(env.socket.c_str(), W_OK) != 0) return {};
  RequestHead whose = head(env, verb);
  const Actor& actor = env.caller.actor();
  whose.by = Behalf{actor.user, actor.uid, actor.tty, actor.remote};
  const std::string line = line_of(whose, request);
  if (line.size() >= kControlLineMax) return {};
  const auto answer = fw::ask(env.socket, line, kPatience);
  if (!answer) return {};
  auto fields = wire::read_answer(*answer);
  if (fields) {
    auto report = wire::from_json<Report>(*fields);
    if (report) return report;
    return {};
  }
  const ErrorCode code = fields.error().code;
  if (code == ErrorCode::unsupported || code == ErrorCode::missing) return {};
  return std::unexpected(fields.error());
}

}  // namespace

std::optional<Result<BlockReport>> block_by_daemon(const Environment& env,
                                                   const BlockRequest& request) {
  return change<BlockReport>(env, "block", request);
}

std::optional<Result<UnblockReport>> unblock_by_daemon(const Environment& env,
                                                       const UnblockRequest& request) {
  return change<UnblockReport>(env, "unblock", request);
}

void tell_applied(const Environment& env, std::chrono::microseconds took) {
  if (::access(env.socket.c_str(), W_OK) != 0) return;
  (void)fw::ask(
      env.socket,
      line_of(head(env, "applied"), AppliedRequest{static_cast<std::uint64_t>(took.count())}),
      kTellPatience);
}

bool needs_daemon(const Environment& env) {
  return ::faccessat(AT_FDCWD, env.state_dir.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0 &&
         errno == EACCES;
}

Result<BlockList> blocks_of_daemon(const Environment& env) {
  return told<BlockList>(env, line_of(head(env, "blocks"), BlocksRequest{kBlocksTold}));
}

Result<StatusReport> status_of_daemon(const Environment& env) {
  return told<StatusReport>(env, json::serialize(wire::to_json(head(env, "status"))));
}

Result<std::vector<Activity>> activity_of_daemon(const Environment& env, WallTime since,
                                                 std::int64_t after, std::size_t count,
                                                 const std::string& what) {
  const ActivityRequest request{std::max(since, WallTime{}), after, count, what};
  auto report = told<ActivityReport>(env, line_of(head(env, "activity"), request));
  if (!report) return std::unexpected(report.error());
  return std::move(report->activity);
}

Result<BlockReport> block_of_service(const Environment& env, const BlockRequest& request) {
  return told<BlockReport>(env, line_of(RequestHead{"block", {}}, request));
}

Result<std::vector<Ip>> blocked_of_daemon(const Environment& env, const std::vector<Ip>& clients,
                                          std::chrono::milliseconds patience) {
  BlockedRequest request;
  for (const Ip ip : clients) request.addresses.push_back({ip.family, ip.bits, ip.bits});
  const auto report =
      told<BlockedReport>(env, line_of(RequestHead{"blocked", {}}, request), patience);
  if (!report) return std::unexpected(report.error());
  std::vector<Ip> blocked;
  for (const IpRange& range : report->blocked) blocked.push_back({range.family, range.first});
  return blocked;
}

Result<HttpRules> limits_of_daemon(const Environment& env) {
  return told<HttpRules>(env, json::serialize(wire::to_json(RequestHead{"limits", {}})),
                         kCountsPatience);
}

Result<Counts> counts_of_daemon(const Environment& env, std::size_t sources) {
  const RequestHead any{"counts", {}};
  return told<Counts>(env, line_of(any, CountsRequest{sources}), kCountsPatience);
}

}  // namespace fw::ops
