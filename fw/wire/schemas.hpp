// The fields of what the state, the kernel and the policy are reported as.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "chains/diff.hpp"
#include "fw/host/apply.hpp"
#include "fw/host/counts.hpp"
#include "fw/host/guard.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/settings.hpp"
#include "fw/host/status.hpp"
#include "fw/lists/lists.hpp"
#include "fw/plugins/finding.hpp"
#include "fw/plugins/plugin.hpp"
#include "fw/policy/parse.hpp"
#include "fw/store/activity.hpp"
#include "fw/store/blocks.hpp"
#include "fw/wire/codec.hpp"

namespace fw::wire {

template <>
struct Words<ErrorCode> {
  static constexpr std::array<std::pair<ErrorCode, std::string_view>, 11> all{
      {{ErrorCode::usage, "usage"},
       {ErrorCode::policy, "policy"},
       {ErrorCode::list, "list"},
       {ErrorCode::io, "io"},
       {ErrorCode::permission, "permission"},
       {ErrorCode::unsupported, "unsupported"},
       {ErrorCode::kernel_refused, "kernel_refused"},
       {ErrorCode::kernel_busy, "kernel_busy"},
       {ErrorCode::store, "store"},
       {ErrorCode::memory, "memory"},
       {ErrorCode::missing, "missing"}}};
};
template <>
struct Words<Severity> {
  static constexpr std::array<std::pair<Severity, std::string_view>, 2> all{
      {{Severity::error, "error"}, {Severity::warning, "warning"}}};
};
template <>
struct Words<ListAction> {
  static constexpr std::array<std::pair<ListAction, std::string_view>, 3> all{
      {{ListAction::block, "block"}, {ListAction::allow, "allow"}, {ListAction::open, "open"}}};
};
template <>
struct Words<SettingHarm> {
  static constexpr std::array<std::pair<SettingHarm, std::string_view>, 3> all{
      {{SettingHarm::low, "low"}, {SettingHarm::medium, "medium"}, {SettingHarm::high, "high"}}};
};
template <>
struct Words<Source> {
  static constexpr std::array<std::pair<Source, std::string_view>, 2> all{
      {{Source::outside, "outside"}, {Source::apps, "apps"}}};
};
template <>
struct Words<LimitKey> {
  static constexpr std::array<std::pair<LimitKey, std::string_view>, 2> all{
      {{LimitKey::ip, "ip"}, {LimitKey::app, "app"}}};
};

template <>
struct Words<FindingSeverity> {
  static constexpr std::array<std::pair<FindingSeverity, std::string_view>, 4> all{
      {{FindingSeverity::low, "low"},
       {FindingSeverity::medium, "medium"},
       {FindingSeverity::high, "high"},
       {FindingSeverity::critical, "critical"}}};
};

template <>
struct Schema<Location> {
  static void fields(auto& io, auto& where) {
    io.field("file", where.file);
    io.field("line", where.line);
    io.field("column", where.column);
  }
};

template <>
struct Schema<Error> {
  static void fields(auto& io, auto& error) {
    io.field("code", error.code);
    io.field("what", error.what);
    io.field("context", error.context);
    io.field("where", error.where);
    io.field("errno", error.sys_errno);
  }
};

template <>
struct Schema<Problem> {
  static void fields(auto& io, auto& problem) {
    io.field("severity", problem.severity);
    io.field("what", problem.what);
    io.field("where", problem.where);
  }
};

template <>
struct Schema<Block> {
  static void fields(auto& io, auto& block) {
    io.required("address", block.range);
    io.field("since", block.since);
    io.field("until", block.until);
    io.derived("seconds_left", [&block] {
      const auto left = [&block] {
        return std::chrono::ceil<std::chrono::seconds>(*block.until - wall_clock()).count();
      };
      return block.until ? std::optional(left()) : std::nullopt;
    });
    io.field("reason", block.reason);
    io.field("origin", block.origin);
  }
};

template <>
struct Schema<Objection> {
  static void fields(auto& io, auto& objection) {
    io.field("address", objection.range);
    io.field("why", objection.why);
  }
};

template <>
struct Schema<chains::DiffLine> {
  static void fields(auto& io, auto& line) {
    io.field("sign", line.sign);
    io.field("place", line.place);
    io.field("text", line.text);
    io.field("id", line.id);
    io.field("where", line.where);
  }
};

template <>
struct Schema<ContentChange> {
  static void fields(auto& io, auto& change) {
    io.field("what", change.what);
    io.field("added", change.added);
    io.field("removed", change.removed);
    io.field("whole", change.whole);
  }
};

template <>
struct Schema<Difference> {
  static void fields(auto& io, auto& difference) {
    io.field("lines", difference.rules.lines);
    io.field("lines_in_all", difference.rules.all);
    io.field("contents", difference.contents);
  }
};

template <>
struct Schema<BadLine> {
  static void fields(auto& io, auto& bad) {
    io.field("line", bad.line);
    io.field("what", bad.what);
  }
};

template <>
struct Schema<ListReport> {
  static void fields(auto& io, auto& list) {
    io.field("name", list.name);
    io.field("file", list.file);
    io.field("action", list.action);
    io.field("entries", list.entries);
    io.field("bad_lines", list.bad_count);
    io.field("bad", list.bad);
    io.field("left_out_lines", list.left_count);
    io.field("left_out", list.left_out);
    io.field("wide", list.wide);
    io.field("shrank", list.shrank);
    io.field("last_good", list.last_good);
    io.field("problem", list.problem);
  }
};

template <>
struct Schema<LimitCounts> {
  static void fields(auto& io, auto& limit) {
    io.field("name", limit.name);
    io.field("rate", limit.rate);
    io.field("accepted", limit.accepted);
    io.field("refused", limit.refused);
    io.field("overflowed", limit.overflowed);
    io.field("sources", limit.sources);
    io.field("fullest", limit.fullest);
    io.derived("capacity", [] { return kMeterSourcesMax; });
  }
};

template <>
struct Schema<Status::Port> {
  static void fields(auto& io, auto& port) {
    io.field("port", port.port);
    io.field("new_flows", port.flows);
  }
};

template <>
struct Schema<Status::Limited> {
  static void fields(auto& io, auto& limited) {
    Schema<LimitCounts>::fields(io, limited.counts);
    io.field("ports", limited.ports);
    io.field("from", limited.from);
    io.field("per", limited.per);
  }
};

template <>
struct Schema<WeakSetting> {
  static void fields(auto& io, auto& setting) {
    io.field("harm", setting.harm);
    io.field("name", setting.name);
    io.field("value", setting.value);
    io.field("means", setting.means);
    io.field("remedy", setting.remedy);
  }
};

template <>
struct Schema<Finding> {
  static void fields(auto& io, auto& finding) {
    io.field("severity", finding.severity);
    io.field("rule", finding.rule);
    io.field("subject", finding.subject);
    io.field("what", finding.what);
    io.field("impact", finding.impact);
    io.field("fix", finding.fix);
    io.field("compose", finding.compose);
  }
};

template <>
struct Schema<AuditRow> {
  static void fields(auto& io, auto& row) {
    io.field("name", row.name);
    io.field("values", row.values);
  }
};

template <>
struct Schema<AuditSheet> {
  static void fields(auto& io, auto& sheet) {
    io.field("subject", sheet.subject);
    io.field("grade", sheet.grade);
    io.field("rows", sheet.rows);
  }
};

template <>
struct Schema<Status> {
  static void fields(auto& io, auto& status) {
    io.field("present", status.present);
    io.field("equal", status.equal);
    io.field("differences", status.differences);
    io.field("ports", status.ports);
    io.field("limits", status.limits);
    io.field("dropped", status.dropped);
    io.field("unlabelled", status.unlabelled);
    io.field("lists", status.lists);
    io.field("settings", status.settings);
    io.field("warnings", status.warnings);
  }
};

template <>
struct Schema<PanicState> {
  static void fields(auto& io, auto& panic) {
    io.field("since", panic.since);
    io.field("callers", panic.panic.callers);
  }
};

template <>
struct Schema<Trouble::Trial> {
  static void fields(auto& io, auto& trial) {
    io.field("policy", trial.policy);
    io.field("until", trial.until);
    io.derived("seconds_left",
               [&trial] { return std::chrono::ceil<std::chrono::seconds>(trial.left).count(); });
    io.field("left_ms", trial.left);
  }
};

template <>
struct Schema<Trouble> {
  static void fields(auto& io, auto& trouble) {
    io.field("off", trouble.off);
    io.field("panic", trouble.panic);
    io.field("nobody_gets_in", trouble.nobody_gets_in);
    io.field("trial", trouble.trial);
  }
};

template <>
struct Schema<Actor> {
  static void fields(auto& io, auto& actor) {
    io.field("user", actor.user);
    io.field("uid", actor.uid);
    io.field("tty", actor.tty);
    io.field("remote", actor.remote);
  }
};

template <>
struct Schema<Activity> {
  static void fields(auto& io, auto& row) {
    io.field("id", row.id);
    io.field("time", row.time);
    io.field("what", row.what);
    Schema<Actor>::fields(io, row.actor);
    io.field("summary", row.summary);
    json_text(io, "details", row.details);
  }

 private:
  /// JSON that is kept as text: it is reported as what it is, and null when there is none.
  static void json_text(Encoder& io, std::string_view name, const std::string& text) {
    boost::system::error_code error;
    const json::value value = text.empty() ? json::value() : json::parse(text, error);
    io.field(name, error ? json::value() : value);
  }
  static void json_text(Decoder& io, std::string_view name, std::string& text) {
    json::value value;
    io.field(name, value);
    if (!value.is_null()) text = json::serialize(value);
  }
  static void json_text(Names& io, std::string_view name, const std::string& text) {
    io.field(name, text);
  }
};

template <>
struct Schema<Busy> {
  static void fields(auto& io, auto& busy) {
    io.field("source", busy.source);
    io.field("count", busy.count);
    io.field("too_high_by_at_most", busy.error);
  }
};

template <>
struct Schema<AppCount> {
  static void fields(auto& io, auto& app) {
    io.field("name", app.name);
    io.field("connections", app.connections);
  }
};

template <>
struct Schema<DaemonCounts> {
  static void fields(auto& io, auto& counts) {
    io.field("off", counts.off);
    io.field("checks", counts.checks);
    io.field("repairs", counts.repairs);
    io.field("app_changes", counts.app_changes);
    io.field("last_check_us", counts.last_check);
    io.field("last_repair_us", counts.last_repair);
    io.field("applies", counts.applies);
    io.field("last_apply_us", counts.last_apply);
    io.field("offenders", counts.offenders);
    io.field("flow_events", counts.flow_events);
    io.field("flow_events_lost", counts.flow_events_lost);
    io.field("flows_recovered", counts.flows_recovered);
    io.field("refusals", counts.refusals);
    io.field("refusals_lost", counts.refusals_lost);
    io.field("changes_seen", counts.changes_seen);
    io.field("changes_lost", counts.changes_lost);
    io.field("malformed", counts.malformed);
    io.field("messages_left_out", counts.messages_left_out);
    io.field("clients", counts.clients);
    io.field("metrics_clients", counts.metrics_clients);
  }
};

template <>
struct Schema<Counts> {
  static void fields(auto& io, auto& counts) {
    io.required("time", counts.time);
    io.field("present", counts.present);
    io.field("limits", counts.limits);
    io.field("dropped", counts.dropped);
    io.field("unlabelled", counts.unlabelled);
    io.field("connections", counts.connections);
    io.field("open", counts.open);
    io.field("busiest", counts.busiest);
    io.field("most_refused", counts.most_refused);
    io.field("apps", counts.apps);
    io.field("blocks", counts.blocks);
    io.field("daemon", counts.daemon);
  }
};

}  // namespace fw::wire
