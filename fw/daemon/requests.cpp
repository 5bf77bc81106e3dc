// Requests on the control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/requests.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/actor.hpp"
#include "fw/host/block.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/ops/block.hpp"
#include "fw/ops/requests.hpp"
#include "fw/ops/status.hpp"
#include "fw/wire/wire.hpp"

namespace fw {
namespace {

namespace json = boost::json;

/// Answers with a report, or why there is none.
template <class Report>
void answer_with(const Answer& answer, const Result<Report>& report) {
  answer(report ? wire::answer(wire::to_json(*report)) : wire::answer(report.error()));
}

void refuse(const Answer& answer, ErrorCode code, std::string what) {
  answer(wire::answer(Error{code, std::move(what), {}, {}, 0}));
}

/// The other end, and what every request of it says.
struct Asker {
  const Peer& peer;
  const ops::RequestHead& head;
};

/// For whom it is done, as the other end says, who may change what it likes; else the other end
/// itself. A process that has ended by now, or that is hidden, is known by its user alone.
Actor actor_of(const Asker& asker) {
  if (const auto& by = asker.head.by) {
    return {by->user, by->uid.value_or(asker.peer.uid), by->tty, by->remote};
  }
  const std::string process = std::to_string(asker.peer.pid);
  return fw::actor_of(session_of(process), process, asker.peer.uid);
}

/// "addresses" that must not be blocked, with the reasons.
json::object objected(std::vector<Objection> objections) {
  json::object out = wire::answer(
      Error{ErrorCode::usage,
            ops::objection_text(objections, "\"force\": true (--force) blocks it anyway"),
            {},
            {},
            0});
  if (objections.size() > kActivityLinesMax) objections.resize(kActivityLinesMax);
  out["objections"] = wire::to_json(objections);
  return out;
}

ops::Opened opened(RequestContext& context) {
  return {context.kernel(), context.store(), chains::Admission(context.policy().label_bit)};
}

/// What a service may not ask for, though it may block; "" when it may. What it reads comes from
/// strangers, so a block of it has an end and hits one client.
std::string_view beyond_service(const Asker& asker, const ops::BlockRequest& request) {
  if (!request.origin.starts_with("services/")) return "a service blocks as services/... only";
  if (request.force || asker.head.by) return "a service asks neither with force nor for others";
  if (!request.lasts || *request.lasts > kServiceBlockMax)
    return "a service blocks for 30d at most";
  if (request.addresses.size() != 1 || !request.addresses.front().single())
    return "a service blocks one client at a time";
  if (request.prefix6 < kServicePrefixMin) return "a service blocks no more than a /48";
  return {};
}

void do_block(RequestContext& context, const Asker& asker, ops::BlockRequest request,
              const Answer& answer) {
  if (asker.peer.is_service) {
    const std::string_view beyond = beyond_service(asker, request);
    if (!beyond.empty()) return refuse(answer, ErrorCode::permission, std::string(beyond));
  }
  request.reason.resize(std::min(request.reason.size(), kReasonMax));
  request.origin.resize(std::min(request.origin.size(), kOriginMax));
  if (request.origin.empty()) request.origin = "admin";
  request.addresses = ops::clients(context.guard(), std::move(request.addresses), request.prefix6);
  const Actor actor = actor_of(asker);  // who may be gone once it is answered
  if (!request.force) {
    auto objections = context.guard().objections(request.addresses, ops::remote_of(actor));
    if (!objections.empty()) return answer(objected(std::move(objections)));
  }
  const auto work = [&context, actor, answer, request = std::move(request)] {
    const auto report = ops::block(opened(context), request, Cut::added);
    answer_with(answer, report);
    if (!report) return;
    const ops::Row row = ops::row_of(request, *report);
    context.record("block", actor, row.summary, row.details);
  };
  context.with_lock(work, [answer](const Error& error) { answer(wire::answer(error)); });
}

void do_unblock(RequestContext& context, const Asker& asker, ops::UnblockRequest request,
                const Answer& answer) {
  request.origin.resize(std::min(request.origin.size(), kOriginMax));
  request.addresses = ops::clients(context.guard(), std::move(request.addresses), request.prefix6);
  const auto work = [&context, actor = actor_of(asker), answer, request = std::move(request)] {
    const auto report = ops::unblock(opened(context), request);
    answer_with(answer, report);
    if (!report || report->unblocked.empty()) return;
    const ops::Row row = ops::row_of(request, *report);
    context.record("unblock", actor, row.summary, row.details);
  };
  context.with_lock(work, [answer](const Error& error) { answer(wire::answer(error)); });
}

void do_applied(RequestContext& context, const Asker&, const ops::AppliedRequest& request,
                const Answer& answer) {
  context.applied(std::chrono::microseconds{request.took_us});
  answer(wire::answer(json::object{}));
}

void do_blocks(RequestContext& context, const Asker&, const ops::BlocksRequest& request,
               const Answer& answer) {
  answer_with(answer, ops::blocks_of(context.store(), request.count));
}

/// Asks the kernel's sets, not the store: an answer costs no more however much is blocked.
void do_blocked(RequestContext& context, const Asker&, const ops::BlockedRequest& request,
                const Answer& answer) {
  if (request.addresses.size() > kBlockedAskedMax ||
      !std::ranges::all_of(request.addresses, &IpRange::single)) {
    return refuse(answer, ErrorCode::usage,
                  fmt::format("\"addresses\" are single ones, {} at most", kBlockedAskedMax));
  }
  ops::BlockedReport report;
  for (const IpRange& range : request.addresses) {
    const auto blocked = is_blocked(context.kernel(), {range.family, range.first});
    if (!blocked) return answer(wire::answer(blocked.error()));
    if (*blocked) report.blocked.push_back(range);
  }
  answer(wire::answer(wire::to_json(report)));
}

void do_counts(RequestContext& context, const Asker&, const ops::CountsRequest& request,
               const Answer& answer) {
  const TrafficStats& traffic = context.traffic();
  auto counts = count(context.kernel(), context.store(), context.policy(), traffic,
                      context.counts(), wall_clock());
  if (counts) {
    counts->busiest = traffic.busiest(request.sources);
    counts->most_refused = traffic.most_refused(request.sources);
  }
  answer_with(answer, counts);
}

void do_limits(RequestContext& context, const Asker&, const ops::NoFields&, const Answer& answer) {
  answer(wire::answer(wire::to_json(context.http_rules())));
}

/// Of the policy in force; a policy file that was not applied yet is of no interest to the daemon.
void do_status(RequestContext& context, const Asker&, const ops::NoFields&, const Answer& answer) {
  const auto work = [&context, answer] {
    answer_with(answer, ops::status_in_force(context.state_dir()));
  };
  context.with_lock(work, [answer](const Error& error) { answer(wire::answer(error)); });
}

void do_activity(RequestContext& context, const Asker&, const ops::ActivityRequest& request,
                 const Answer& answer) {
  auto log = ActivityLog::open(context.state_dir());
  if (!log) return answer(wire::answer(log.error()));
  auto rows = log->read(request.since, request.after, request.count, request.what);
  if (!rows) return answer(wire::answer(rows.error()));
  answer(wire::answer(wire::to_json(ops::ActivityReport{std::move(*rows)})));
}

void do_hello(RequestContext& context, const Asker&, const ops::NoFields&, const Answer& answer) {
  answer(wire::answer(
      json::object{{"state_dir", context.state_dir()}, {"policy", context.policy().file}}));
}

/// Reads what a request asks for and does it, or says what is wrong with it.
template <class Request, auto Do>
void serve_as(RequestContext& context, const Asker& asker, const json::object& json,
              const Answer& answer) {
  auto request = wire::from_json<Request>(json);
  if (!request) return answer(wire::answer(request.error()));
  Do(context, asker, std::move(*request), answer);
}

struct Verb {
  std::string_view name;
  bool changes;  ///< only for those who may
  void (*serve)(RequestContext&, const Asker&, const json::object&, const Answer&);
};
constexpr std::array kVerbs{
    Verb{"hello", false, serve_as<ops::NoFields, do_hello>},
    Verb{"applied", true, serve_as<ops::AppliedRequest, do_applied>},
    Verb{"block", true, serve_as<ops::BlockRequest, do_block>},
    Verb{"unblock", true, serve_as<ops::UnblockRequest, do_unblock>},
    Verb{"blocks", false, serve_as<ops::BlocksRequest, do_blocks>},
    Verb{"blocked", false, serve_as<ops::BlockedRequest, do_blocked>},
    Verb{"counts", false, serve_as<ops::CountsRequest, do_counts>},
    Verb{"limits", false, serve_as<ops::NoFields, do_limits>},
    Verb{"status", false, serve_as<ops::NoFields, do_status>},
    Verb{"activity", false, serve_as<ops::ActivityRequest, do_activity>},
};

void unknown_verb(const std::string& word, const Answer& answer) {
  std::string known;
  for (const Verb& verb : kVerbs)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", verb.name);
  refuse(answer, ErrorCode::usage,
         fmt::format("unknown request {}; known are {}", quote(word), known));
}

}  // namespace

void serve(RequestContext& context, const Peer& peer, const json::object& request, Answer answer) {
  const auto head = wire::from_json<ops::RequestHead>(request);
  if (!head) return answer(wire::answer(head.error()));
  if (!head->state_dir.empty() && head->state_dir != context.state_dir()) {
    return refuse(answer, ErrorCode::missing,
                  "the daemon uses another state folder: " + context.state_dir());
  }
  const auto verb = std::ranges::find(kVerbs, head->verb, &Verb::name);
  if (verb == kVerbs.end()) return unknown_verb(head->verb, answer);
  const bool allowed = peer.may_change || (peer.is_service && verb->name == "block");
  if (verb->changes && !allowed) {
    return refuse(answer, ErrorCode::permission, "only root may do that (try: sudo)");
  }
  verb->serve(context, {peer, *head}, request, answer);
}

}  // namespace fw
