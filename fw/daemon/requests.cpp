// Requests on the control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/requests.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/actor.hpp"
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

/// Reads what a request asks for, and hands it on; or says what is wrong with it.
template <class Request, class Then>
void with_request(const json::object& json, const Answer& answer, Then then) {
  auto request = wire::from_json<Request>(json);
  if (!request) return answer(wire::answer(request.error()));
  then(std::move(*request));
}

/// For whom it is done, as the other end says, who may change what it likes; else the other end
/// itself. A process that has ended by now, or that is hidden, is known by its user alone.
Actor actor_of_request(const Peer& peer, const ops::RequestHead& head) {
  if (head.by) return *head.by;
  const std::string process = std::to_string(peer.pid);
  return actor_of(session_of(process), process, peer.uid);
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

void do_block(RequestContext& context, const Peer& peer, const ops::RequestHead& head,
              ops::BlockRequest request, const Answer& answer) {
  request.reason.resize(std::min(request.reason.size(), kReasonMax));
  request.origin.resize(std::min(request.origin.size(), kOriginMax));
  if (request.origin.empty()) request.origin = "admin";
  request.addresses = ops::clients(context.guard(), std::move(request.addresses), request.prefix6);
  const Actor actor = actor_of_request(peer, head);  // who may be gone once it is answered
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

void do_unblock(RequestContext& context, const Peer& peer, const ops::RequestHead& head,
                ops::UnblockRequest request, const Answer& answer) {
  request.origin.resize(std::min(request.origin.size(), kOriginMax));
  request.addresses = ops::clients(context.guard(), std::move(request.addresses), request.prefix6);
  const auto work = [&context, actor = actor_of_request(peer, head), answer,
                     request = std::move(request)] {
    const auto report = ops::unblock(opened(context), request);
    answer_with(answer, report);
    if (!report || report->unblocked.empty()) return;
    const ops::Row row = ops::row_of(request, *report);
    context.record("unblock", actor, row.summary, row.details);
  };
  context.with_lock(work, [answer](const Error& error) { answer(wire::answer(error)); });
}

void do_applied(RequestContext& context, const ops::AppliedRequest& request, const Answer& answer) {
  context.applied(std::chrono::microseconds{request.took_us});
  answer(wire::answer(json::object{}));
}

void do_blocks(RequestContext& context, const ops::BlocksRequest& request, const Answer& answer) {
  auto snapshot = context.store().blocks(wall_clock());
  if (!snapshot) return answer(wire::answer(snapshot.error()));
  ops::BlockList list{std::move(snapshot->blocks), 0};
  list.all = list.blocks.size();
  list.blocks.resize(std::min(list.all, request.count));
  answer(wire::answer(wire::to_json(list)));
}

void do_counts(RequestContext& context, const ops::CountsRequest& request, const Answer& answer) {
  const TrafficStats& traffic = context.traffic();
  auto counts = count(context.kernel(), context.store(), context.policy(), traffic,
                      context.counts(), wall_clock());
  if (counts) {
    counts->busiest = traffic.busiest(request.sources);
    counts->most_refused = traffic.most_refused(request.sources);
  }
  answer_with(answer, counts);
}

/// Of the policy in force; a policy file that was not applied yet is of no interest to the daemon.
void do_status(RequestContext& context, const Answer& answer) {
  const auto work = [&context, answer] {
    answer_with(answer, ops::status_in_force(context.state_dir()));
  };
  context.with_lock(work, [answer](const Error& error) { answer(wire::answer(error)); });
}

void do_activity(RequestContext& context, const ops::ActivityRequest& request,
                 const Answer& answer) {
  auto log = ActivityLog::open(context.state_dir());
  if (!log) return answer(wire::answer(log.error()));
  auto rows = log->read(request.since, request.after, request.count, request.what);
  if (!rows) return answer(wire::answer(rows.error()));
  answer(wire::answer(wire::to_json(ops::ActivityReport{std::move(*rows)})));
}

void refuse(const Answer& answer, ErrorCode code, std::string what) {
  answer(wire::answer(Error{code, std::move(what), {}, {}, 0}));
}

}  // namespace

void serve(RequestContext& context, const Peer& peer, const json::object& request, Answer answer) {
  auto read = wire::from_json<ops::RequestHead>(request);
  if (!read) return answer(wire::answer(read.error()));
  const ops::RequestHead head = std::move(*read);
  const std::string& verb = head.verb;
  if (!head.state_dir.empty() && head.state_dir != context.state_dir()) {
    return refuse(answer, ErrorCode::missing,
                  "the daemon uses another state folder: " + context.state_dir());
  }
  const bool changes = verb == "applied" || verb == "block" || verb == "unblock";
  if (changes && !peer.may_change) {
    return refuse(answer, ErrorCode::permission, "only root may do that (try: sudo)");
  }
  if (verb == "hello") {
    return answer(wire::answer(
        json::object{{"state_dir", context.state_dir()}, {"policy", context.policy().file}}));
  }
  if (verb == "block") {
    return with_request<ops::BlockRequest>(request, answer, [&](ops::BlockRequest asked) {
      do_block(context, peer, head, std::move(asked), answer);
    });
  }
  if (verb == "unblock") {
    return with_request<ops::UnblockRequest>(request, answer, [&](ops::UnblockRequest asked) {
      do_unblock(context, peer, head, std::move(asked), answer);
    });
  }
  if (verb == "applied") {
    return with_request<ops::AppliedRequest>(
        request, answer, [&](const auto& asked) { do_applied(context, asked, answer); });
  }
  if (verb == "blocks") {
    return with_request<ops::BlocksRequest>(
        request, answer, [&](const auto& asked) { do_blocks(context, asked, answer); });
  }
  if (verb == "counts") {
    return with_request<ops::CountsRequest>(
        request, answer, [&](const auto& asked) { do_counts(context, asked, answer); });
  }
  if (verb == "activity") {
    return with_request<ops::ActivityRequest>(
        request, answer, [&](const auto& asked) { do_activity(context, asked, answer); });
  }
  if (verb == "status") return do_status(context, answer);
  refuse(
      answer, ErrorCode::usage,
      fmt::format("unknown request {}; known are hello, applied, block, unblock, blocks, counts, "
                  "status and activity",
                  quote(verb)));
}

}  // namespace fw
