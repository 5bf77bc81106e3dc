// The fields of the operations' requests and reports.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "fw/base/limits.hpp"
#include "fw/ops/apply.hpp"
#include "fw/ops/block.hpp"
#include "fw/ops/check.hpp"
#include "fw/ops/explain.hpp"
#include "fw/ops/panic.hpp"
#include "fw/ops/requests.hpp"
#include "fw/ops/reset.hpp"
#include "fw/ops/status.hpp"
#include "fw/ops/trial.hpp"
#include "fw/policy/http_limit.hpp"
#include "fw/wire/schemas.hpp"

namespace fw::wire {

template <>
struct Schema<ops::Behalf> {
  static void fields(auto& io, auto& behalf) {
    io.field("user", behalf.user);
    io.field("uid", behalf.uid);
    io.field("tty", behalf.tty);
    io.field("remote", behalf.remote);
  }
};

template <>
struct Schema<ops::RequestHead> {
  static void fields(auto& io, auto& head) {
    io.field("do", head.verb);
    io.field("state_dir", head.state_dir);
    io.field("by", head.by);
  }
};

template <>
struct Schema<ops::BlockRequest> {
  static void fields(auto& io, auto& request) {
    io.some("addresses", request.addresses);
    io.field("for", request.lasts);
    io.field("reason", request.reason);
    io.field("origin", request.origin);
    io.at_most("prefix6", request.prefix6, 128);
    io.field("force", request.force);
  }
};

template <>
struct Schema<ops::UnblockRequest> {
  static void fields(auto& io, auto& request) {
    io.some("addresses", request.addresses);
    io.field("origin", request.origin);
    io.at_most("prefix6", request.prefix6, 128);
  }
};

template <>
struct Schema<ops::AppliedRequest> {
  static void fields(auto& io, auto& request) {
    io.at_most("took_us", request.took_us, std::uint64_t{INT64_MAX});
  }
};

template <>
struct Schema<ops::NoFields> {
  static void fields(auto& /*io*/, auto& /*none*/) {}
};

template <>
struct Schema<ops::BlocksRequest> {
  static void fields(auto& io, auto& request) {
    io.at_most("count", request.count, ops::kBlocksTold);
  }
};

template <>
struct Schema<ops::BlockedRequest> {
  static void fields(auto& io, auto& request) { io.some("addresses", request.addresses); }
};

template <>
struct Schema<ops::BlockedReport> {
  static void fields(auto& io, auto& report) { io.field("blocked", report.blocked); }
};

template <>
struct Schema<ops::CountsRequest> {
  static void fields(auto& io, auto& request) {
    io.at_most("sources", request.sources, std::size_t{1000});
  }
};

template <>
struct Schema<ops::ActivityRequest> {
  static void fields(auto& io, auto& request) {
    io.field("since", request.since);
    io.field("after", request.after);
    io.at_most("count", request.count, std::size_t{1000});
    io.field("what", request.what);
  }
};

template <>
struct Schema<ops::BlockReport> {
  static void fields(auto& io, auto& report) {
    io.field("in_force", report.in_force);
    io.field("flows_cut", report.flows_cut);
    io.field("blocked", report.blocked);
    io.field("kept_longer", report.kept_longer);
    io.field("longer_by_others", report.longer_by_others);
    io.field("behind_proxies", report.behind_proxies);
    io.field("warnings", report.warnings);
  }
};

template <>
struct Schema<ops::UnblockReport> {
  static void fields(auto& io, auto& report) {
    io.field("in_force", report.in_force);
    io.field("unblocked", report.unblocked);
    io.field("still_blocked_by", report.still_blocked_by);
    io.field("not_found", report.not_found);
    io.field("warnings", report.warnings);
  }
};

template <>
struct Schema<ops::BlockList> {
  static void fields(auto& io, auto& list) {
    io.field("blocks", list.blocks);
    io.field("all", list.all);
  }
};

template <>
struct Schema<ops::ActivityReport> {
  static void fields(auto& io, auto& report) { io.field("activity", report.activity); }
};

template <>
struct Words<HttpKey> {
  static constexpr std::array<std::pair<HttpKey, std::string_view>, 4> all{
      {{HttpKey::client, "client"},
       {HttpKey::client_account, "client+account"},
       {HttpKey::account, "account"},
       {HttpKey::site, "site"}}};
};

template <>
struct Schema<HttpLimit> {
  static void fields(auto& io, auto& limit) {
    io.required("name", limit.name);
    io.field("per", limit.per);
    io.required("rate", limit.rate);
    io.field("burst", limit.burst);
    io.at_most("prefix4", limit.prefix4, 32);
    io.at_most("prefix6", limit.prefix6, 128);
  }
};

template <>
struct Schema<HttpOffender> {
  static void fields(auto& io, auto& offender) {
    io.required("after", offender.after);
    io.some("limits", offender.limits);
    io.field("block", offender.block);
    io.field("max", offender.max);
  }
};

template <>
struct Schema<HttpRules> {
  static void fields(auto& io, auto& rules) {
    io.field("limits", rules.limits);
    io.field("translated", rules.translated);
    io.field("offenders", rules.offenders);
  }
};

template <>
struct Schema<ops::StatusReport> {
  static void fields(auto& io, auto& report) {
    io.field("policy", report.policy);
    Schema<Status>::fields(io, report.status);
    Schema<Trouble>::fields(io, report.trouble);
    Schema<ops::BlockList>::fields(io, report.blocks);
    io.field("rolled_back", report.rolled_back);
  }
};

template <>
struct Schema<ops::VerifyReport> {
  static void fields(auto& io, auto& report) {
    io.field("equal", report.equal);
    io.field("off", report.off);
    io.field("difference", report.difference);
    io.field("labels", report.labels);
  }
};

template <>
struct Schema<ops::SitesReport> {
  static void fields(auto& io, auto& sites) {
    io.field("changed", sites.difference.changed);
    io.field("diff", sites.difference.lines);
    io.field("diff_left_out", sites.difference.left_out);
    io.field("warnings", sites.difference.warnings);
    io.field("trouble", sites.trouble);
  }
};

template <>
struct Schema<ops::ApplyOutcome> {
  static void fields(auto& io, auto& out) {
    io.field("policy", out.loaded.name);
    io.field("changed", out.report.changed);
    io.field("dry_run", out.dry_run);
    io.field("rolled_back", out.rolled_back);
    Schema<Trouble>::fields(io, out.trouble);
    io.field("first", out.report.first);
    io.field("flows_admitted", out.report.flows_admitted);
    io.field("flows_cut", out.report.flows_cut);
    io.field("connections_entered", out.report.connections_entered);
    io.field("bridges_filtered", out.report.bridges_filtered);
    io.field("closed_bridges", out.closed_bridges);
    io.field("difference", out.report.difference);
    io.field("lists", out.report.lists.reports);
    io.field("warnings", out.report.warnings);
    io.field("policy_warnings", out.loaded.warnings);
    io.field("sites", out.sites);
  }
};

template <>
struct Schema<ops::CheckReport> {
  static void fields(auto& io, auto& report) {
    io.field("policy", report.policy);
    io.field("ok", report.ok);
    io.field("problems", report.problems);
  }
};

template <>
struct Schema<ops::PanicReport> {
  static void fields(auto& io, auto& report) {
    io.field("changed", report.changed);
    Schema<Trouble>::fields(io, report.trouble);
    io.field("warnings", report.warnings);
  }
};

template <>
struct Schema<ops::ResetReport> {
  static void fields(auto& io, auto& report) { io.field("removed", report.removed); }
};

template <>
struct Schema<ops::TrialEnded> {
  static void fields(auto& io, auto& ended) {
    io.field("policy", ended.policy);
    io.field("text", ended.text);
    io.field("warnings", ended.report.warnings);
    io.field("trouble", ended.trouble);
    io.field("lists", ended.report.lists.reports);
  }
};

template <>
struct Words<chains::Outcome> {
  static constexpr auto all = [] {
    using chains::Outcome;
    std::array<std::pair<Outcome, std::string_view>, 4> words{{{Outcome::accepted, {}},
                                                               {Outcome::dropped, {}},
                                                               {Outcome::reset, {}},
                                                               {Outcome::unknown, {}}}};
    for (auto& [outcome, word] : words) word = to_string(outcome);
    return words;
  }();
};

template <>
struct Schema<ops::ExplainStep> {
  static void fields(auto& io, auto& step) {
    io.field("chain", step.chain);
    io.field("rule", step.rule);
    io.field("matched", step.matched);
    io.field("where", step.where);
  }
};

template <>
struct Schema<ops::ExplainPacket> {
  static void fields(auto& io, auto& packet) {
    io.field("packet", packet.packet);
    io.field("verdict", packet.verdict);
    io.field("unknown", packet.unknown);
    io.field("assumed", packet.assumed);
    io.field("steps", packet.steps);
  }
};

template <>
struct Schema<ops::ExplainBudget> {
  static void fields(auto& io, auto& budget) {
    io.field("limit", budget.limit);
    io.field("left", budget.left);
    io.field("of", budget.of);
    io.field("exact", budget.exact);
    io.field("next_free_ms", budget.until);
  }
};

template <>
struct Schema<ops::ExplainAnswer> {
  static void fields(auto& io, auto& answer) {
    io.field("question", answer.question);
    io.field("verdict", answer.verdict);
    io.field("where", answer.where);
    io.field("packets", answer.packets);
    io.field("limits", answer.limits);
  }
};

template <>
struct Schema<ops::ExplainReport> {
  static void fields(auto& io, auto& report) {
    io.field("live", report.live);
    io.field("answers", report.answers);
    io.field("notes", report.notes);
  }
};

}  // namespace fw::wire
