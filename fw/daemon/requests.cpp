// Requests on the control socket.
#include "fw/daemon/requests.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "fw/base/endpoint.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/actor.hpp"
#include "fw/host/block.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/status.hpp"

namespace fw {
namespace {

namespace json = boost::json;

/// A wrong request: what is wrong with it, in a sentence.
struct Wrong {
  std::string what;
};
template <class T>
using Read = std::expected<T, Wrong>;

std::unexpected<Wrong> wrong(std::string what) { return std::unexpected(Wrong{std::move(what)}); }

Read<std::string> text(const json::object& request, std::string_view key) {
  const json::value* const value = request.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return wrong(fmt::format("{} must be a string", quote(key)));
  return std::string(value->get_string());
}

Read<std::int64_t> number(const json::object& request, std::string_view key, std::int64_t otherwise,
                          std::int64_t most) {
  const json::value* const value = request.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > most) {
    return wrong(fmt::format("{} must be a whole number from 0 to {}", quote(key), most));
  }
  return value->get_int64();
}

Read<std::vector<IpRange>> addresses(const json::object& request) {
  const json::value* const value = request.if_contains("addresses");
  if (value == nullptr || !value->is_array() || value->get_array().empty()) {
    return wrong("\"addresses\" must be an array of addresses, networks or ranges");
  }
  std::vector<IpRange> out;
  for (const json::value& one : value->get_array()) {
    if (!one.is_string()) return wrong("\"addresses\" must hold strings");
    const auto range = parse_ip_range(std::string_view(one.get_string()));
    if (!range) return wrong(to_string(range.error()));
    out.push_back(*range);
  }
  return out;
}

json::object block_json(const Block& block) {
  json::object out{{"address", to_string(block.range)},
                   {"since_ms", ms_of(block.since)},
                   {"until_ms", nullptr},
                   {"reason", printable(block.reason, block.reason.size())},
                   {"origin", printable(block.origin, block.origin.size())}};
  if (block.until) out["until_ms"] = ms_of(*block.until);
  return out;
}

json::array blocks_json(const std::vector<Block>& blocks) {
  json::array out;
  for (const Block& block : blocks) out.push_back(block_json(block));
  return out;
}

json::array texts(const std::vector<std::string>& from) {
  json::array out;
  for (const std::string& one : from) out.emplace_back(one);
  return out;
}

/// The first few, for a line of the activity log.
std::string named(const std::vector<IpRange>& ranges) {
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(ranges.size(), 3); ++i) {
    out += (i == 0 ? "" : ", ") + to_string(ranges[i]);
  }
  if (ranges.size() > 3) out += fmt::format(" and {} more", ranges.size() - 3);
  return out;
}

/// Whose block it is, for a line of the activity log.
std::string by_origin(const std::string& origin) {
  if (origin.empty() || origin == "admin") return {};
  return " by " + quote(origin);
}

/// For whom it is done, as the other end says, who may change what it likes; else the other end
/// itself. A process that has ended by now, or that is hidden, is known by its user alone.
Read<Actor> actor_of_request(const Peer& peer, const json::object& request) {
  const json::value* const by = request.if_contains("by");
  if (by == nullptr || by->is_null()) {
    const std::string process = std::to_string(peer.pid);
    return actor_of(session_of(process), process, peer.uid);
  }
  if (!by->is_object()) return wrong("\"by\" must be an object");
  const auto uid = number(by->get_object(), "uid", peer.uid, UINT32_MAX);
  if (!uid) return std::unexpected(uid.error());
  Actor actor;
  actor.uid = static_cast<std::uint32_t>(*uid);
  const std::array<std::pair<const char*, std::string*>, 3> texts{
      {{"user", &actor.user}, {"tty", &actor.tty}, {"remote", &actor.remote}}};
  for (const auto& [key, to] : texts) {
    auto said = text(by->get_object(), key);
    if (!said) return std::unexpected(said.error());
    *to = std::move(*said);
  }
  return actor;
}

/// With "prefix6", an IPv6 address stands for the client that has it: its network.
Read<std::vector<IpRange>> clients(const BlockGuard& guard, const json::object& request) {
  auto ranges = addresses(request);
  const auto length = number(request, "prefix6", 128, 128);
  if (!length) return std::unexpected(length.error());
  if (!ranges) return ranges;
  for (IpRange& range : *ranges) {
    if (range.family == Family::ipv4 || !range.single()) continue;
    range = guard.client({range.family, range.first}, static_cast<int>(*length));
  }
  return ranges;
}

/// "addresses" that must not be blocked, with the reasons.
json::object objected(const std::vector<Objection>& objections) {
  constexpr std::size_t kSaid = 3;
  std::string why;
  json::array all;
  for (const Objection& objection : objections) {
    if (all.size() < kSaid) why += (all.empty() ? "" : "; ") + to_string(objection);
    if (all.size() == kActivityLinesMax) break;
    all.push_back(json::object{{"address", to_string(objection.range)}, {"why", objection.why}});
  }
  if (objections.size() > kSaid) why += fmt::format("; and {} more", objections.size() - kSaid);
  json::object out = refusal(why + ": nothing was blocked; \"force\": true blocks it anyway");
  out["objections"] = std::move(all);
  return out;
}

bool is_forced(const json::object& request) {
  const json::value* const force = request.if_contains("force");
  return force != nullptr && *force == json::value(true);
}

struct BlockRequest {
  std::vector<IpRange> ranges;
  std::optional<std::chrono::seconds> duration;
  std::string reason;
  std::string origin;
};

Read<BlockRequest> read_block(const BlockGuard& guard, const json::object& request) {
  BlockRequest out;
  auto ranges = clients(guard, request);
  if (!ranges) return std::unexpected(ranges.error());
  out.ranges = std::move(*ranges);
  const auto duration = text(request, "for");
  if (!duration) return std::unexpected(duration.error());
  if (!duration->empty()) {
    const auto parsed = parse_duration(*duration);
    if (!parsed) return wrong("\"for\": " + to_string(parsed.error()));
    out.duration = *parsed;
  }
  const auto reason = text(request, "reason");
  const auto origin = text(request, "origin");
  if (!reason) return std::unexpected(reason.error());
  if (!origin) return std::unexpected(origin.error());
  out.reason = reason->substr(0, kReasonMax);
  out.origin = origin->empty() ? "admin" : origin->substr(0, kOriginMax);
  return out;
}

/// From where an actor is connected.
std::optional<Ip> caller_of(const Actor& actor) {
  const auto remote = parse_endpoint(actor.remote);
  if (!remote) return {};
  return remote->ip;
}

void do_block(RequestContext& context, const Peer& peer, const json::object& request,
              const Answer& answer) {
  auto read = read_block(context.guard(), request);
  if (!read) return answer(refusal(read.error().what));
  const auto actor = actor_of_request(peer, request);  // who may be gone once it is answered
  if (!actor) return answer(refusal(actor.error().what));
  if (!is_forced(request)) {
    const auto objections = context.guard().objections(read->ranges, caller_of(*actor));
    if (!objections.empty()) return answer(objected(objections));
  }
  const auto work = [&context, actor = *actor, answer, asked = std::move(*read)] {
    const WallTime now = wall_clock();
    std::optional<WallTime> until;
    if (asked.duration) until = now + *asked.duration;
    std::vector<Block> blocks;
    for (const IpRange& range : asked.ranges) {
      blocks.push_back({range, until, asked.reason, asked.origin, now});
    }
    const auto done = block(context.kernel(), context.store(),
                            chains::Admission(context.policy().label_bit), blocks, now, Cut::added);
    if (!done) return answer(refusal(done.error()));
    answer({{"ok", true},
            {"in_force", done->in_force},
            {"flows_cut", done->flows_cut},
            {"blocked", blocks_json(blocks)},
            {"kept_longer", blocks_json(done->change.kept_longer)},
            {"longer_by_others", blocks_json(done->change.longer_by_others)},
            {"warnings", texts(done->warnings)}});
    context.record("block", actor,
                   fmt::format("{} {}{}{}{}", named(asked.ranges),
                               asked.duration ? "for " + to_string(*asked.duration) : "permanently",
                               by_origin(asked.origin), asked.reason.empty() ? "" : ": ",
                               printable(asked.reason, 200)),
                   {{"count", asked.ranges.size()},
                    {"flows_cut", done->flows_cut},
                    {"origin", printable(asked.origin)}});
  };
  context.with_lock(work, [answer](const Error& error) { answer(refusal(error)); });
}

void do_unblock(RequestContext& context, const Peer& peer, const json::object& request,
                const Answer& answer) {
  auto ranges = clients(context.guard(), request);
  if (!ranges) return answer(refusal(ranges.error().what));
  const auto origin = text(request, "origin");
  if (!origin) return answer(refusal(origin.error().what));
  const auto actor = actor_of_request(peer, request);
  if (!actor) return answer(refusal(actor.error().what));
  const auto work = [&context, actor = *actor, answer, ranges = std::move(*ranges),
                     origin = origin->substr(0, kOriginMax)] {
    const auto done = unblock(context.kernel(), context.store(), ranges, wall_clock(), origin);
    if (!done) return answer(refusal(done.error()));
    const BlockChange& change = done->change;
    json::array not_found;
    for (const IpRange& range : change.not_found) not_found.emplace_back(to_string(range));
    answer({{"ok", true},
            {"in_force", done->in_force},
            {"unblocked", blocks_json(change.removed)},
            {"still_blocked_by", blocks_json(change.still_covers)},
            {"not_found", std::move(not_found)},
            {"warnings", texts(done->warnings)}});
    if (change.removed.empty()) return;
    context.record("unblock", actor, named(ranges) + by_origin(origin),
                   {{"count", change.removed.size()}, {"origin", printable(origin)}});
  };
  context.with_lock(work, [answer](const Error& error) { answer(refusal(error)); });
}

void do_blocks(RequestContext& context, const json::object& request, const Answer& answer) {
  const auto count = number(request, "count", 10'000, 50'000);
  if (!count) return answer(refusal(count.error().what));
  auto snapshot = context.store().blocks(wall_clock());
  if (!snapshot) return answer(refusal(snapshot.error()));
  auto& blocks = snapshot->blocks;
  const std::size_t all = blocks.size();
  blocks.resize(std::min(all, static_cast<std::size_t>(*count)));
  answer({{"ok", true}, {"blocks", blocks_json(blocks)}, {"all", all}});
}

json::array busy_json(const std::vector<Busy>& sources) {
  json::array out;
  for (const Busy& busy : sources) {
    out.push_back(json::object{{"source", to_string(busy.source)},
                               {"count", busy.count},
                               {"too_high_by_at_most", busy.error}});
  }
  return out;
}

json::object daemon_json(const DaemonCounts& counts) {
  return {{"off", counts.off},
          {"checks", counts.checks},
          {"repairs", counts.repairs},
          {"app_changes", counts.app_changes},
          {"last_check_us", counts.last_check.count()},
          {"last_repair_us", counts.last_repair.count()},
          {"applies", counts.applies},
          {"last_apply_us", counts.last_apply.count()},
          {"offenders", counts.offenders},
          {"flow_events", counts.flow_events},
          {"flow_events_lost", counts.flow_events_lost},
          {"flows_recovered", counts.flows_recovered},
          {"refusals", counts.refusals},
          {"refusals_lost", counts.refusals_lost},
          {"changes_seen", counts.changes_seen},
          {"changes_lost", counts.changes_lost},
          {"malformed", counts.malformed},
          {"messages_left_out", counts.messages_left_out},
          {"clients", counts.clients},
          {"metrics_clients", counts.metrics_clients}};
}

json::array limits_json(const std::vector<LimitCounts>& limits) {
  json::array out;
  for (const LimitCounts& limit : limits) {
    out.push_back(json::object{{"name", limit.name},
                               {"rate", to_string(limit.rate)},
                               {"accepted", limit.accepted},
                               {"refused", limit.refused},
                               {"overflowed", limit.overflowed},
                               {"sources", limit.sources},
                               {"fullest", limit.fullest},
                               {"capacity", kMeterSourcesMax}});
  }
  return out;
}

json::object limit_json(const Status::Limited& limit) {
  json::object out = limits_json({limit.counts}).front().get_object();
  out["ports"] = texts(limit.ports);
  out["from"] = limit.from == Source::apps ? "apps" : "outside";
  out["per"] = limit.per == LimitKey::app ? "app" : "ip";
  return out;
}

json::object list_json(const ListReport& list) {
  return {{"name", printable(list.name)},
          {"file", printable(list.file, list.file.size())},
          {"action", to_string(list.action)},
          {"entries", list.entries},
          {"bad_lines", list.bad_count},
          {"last_good", list.last_good},
          {"problem", printable(list.problem, list.problem.size())}};
}

json::object trouble_json(const Trouble& trouble) {
  json::object out{{"off", trouble.off}, {"panic", nullptr}, {"trial", nullptr}};
  if (trouble.panic) {
    json::array callers;
    for (const Ip caller : trouble.panic->panic.callers) callers.emplace_back(to_string(caller));
    out["panic"] = {{"since_ms", ms_of(trouble.panic->since)},
                    {"callers", std::move(callers)},
                    {"nobody_gets_in", trouble.nobody_gets_in}};
  }
  if (trouble.trial) {
    out["trial"] = {{"policy", printable(trouble.trial->policy, trouble.trial->policy.size())},
                    {"until_ms", ms_of(trouble.trial->until)},
                    {"left_ms", trouble.trial->left.count()}};
  }
  return out;
}

json::object named_json(const std::map<std::string, std::uint64_t>& counts) {
  json::object out;
  for (const auto& [name, count] : counts) out[printable(name)] = count;
  return out;
}

void do_counts(RequestContext& context, const json::object& request, const Answer& answer) {
  const auto busiest = number(request, "sources", 10, 1000);
  if (!busiest) return answer(refusal(busiest.error().what));
  const TrafficStats& traffic = context.traffic();
  const WallTime now = wall_clock();
  const auto counts =
      count(context.kernel(), context.store(), context.policy(), traffic, context.counts(), now);
  if (!counts) return answer(refusal(counts.error()));
  json::array apps;
  for (const TrafficStats::AppCount& app : counts->apps) {
    apps.push_back(json::object{{"name", app.name}, {"connections", app.connections}});
  }
  const auto n = static_cast<std::size_t>(*busiest);
  answer({{"ok", true},
          {"time_ms", ms_of(now)},
          {"present", counts->present},
          {"limits", limits_json(counts->limits)},
          {"dropped", named_json(counts->dropped)},
          {"unlabelled", counts->unlabelled},
          {"connections", counts->connections},
          {"open", counts->open},
          {"busiest", busy_json(traffic.busiest(n))},
          {"most_refused", busy_json(traffic.most_refused(n))},
          {"apps", std::move(apps)},
          {"blocks", named_json(counts->blocks)},
          {"daemon", daemon_json(counts->daemon)}});
}

json::array settings_json(const std::vector<WeakSetting>& settings) {
  json::array out;
  for (const WeakSetting& setting : settings) {
    out.push_back(json::object{{"harm", to_string(setting.harm)},
                               {"name", setting.name},
                               {"value", setting.value},
                               {"means", setting.means},
                               {"remedy", setting.remedy}});
  }
  return out;
}

/// Of the policy in force; a policy file that was not applied yet is of no interest to the daemon.
void do_status(RequestContext& context, const Answer& answer) {
  const auto work = [&context, answer] {
    auto manager = Manager::open(context.state_dir());
    if (!manager) return answer(refusal(manager.error()));
    const DesiredPolicy wanted = desired_policy(context.state_dir(), this_moment());
    const auto status =
        read_status(*manager, wanted.policy, wanted.policy, wanted.unused, ListUse::remembered);
    if (!status) return answer(refusal(status.error()));
    json::array ports, limits, lists;
    for (const Status::Port& port : status->ports) {
      ports.push_back(json::object{{"port", port.port}, {"new_flows", port.flows}});
    }
    for (const Status::Limited& limit : status->limits) limits.push_back(limit_json(limit));
    for (const ListReport& list : status->lists) lists.push_back(list_json(list));
    answer({{"ok", true},
            {"present", status->present},
            {"equal", status->equal},
            {"differences", status->differences},
            {"ports", std::move(ports)},
            {"limits", std::move(limits)},
            {"dropped", named_json(status->dropped)},
            {"unlabelled", status->unlabelled},
            {"lists", std::move(lists)},
            {"settings", settings_json(status->settings)},
            {"warnings", texts(status->warnings)},
            {"trouble", trouble_json(read_trouble(context.state_dir()))}});
  };
  context.with_lock(work, [answer](const Error& error) { answer(refusal(error)); });
}

void do_activity(RequestContext& context, const json::object& request, const Answer& answer) {
  const auto since = number(request, "since_ms", 0, INT64_MAX);
  const auto after = number(request, "after", 0, INT64_MAX);
  const auto count = number(request, "count", 1000, 1000);
  const auto what = text(request, "what");
  for (const auto* one : {&since, &after, &count}) {
    if (!*one) return answer(refusal(one->error().what));
  }
  if (!what) return answer(refusal(what.error().what));
  auto log = ActivityLog::open(context.state_dir());
  if (!log) return answer(refusal(log.error()));
  const auto rows = log->read(WallTime{std::chrono::milliseconds{*since}}, *after,
                              static_cast<std::size_t>(*count), *what);
  if (!rows) return answer(refusal(rows.error()));
  json::array out;
  for (const Activity& row : *rows) {
    boost::system::error_code error;
    json::value details = json::parse(row.details, error);
    out.push_back(json::object{{"id", row.id},
                               {"time_ms", ms_of(row.time)},
                               {"what", row.what},
                               {"user", row.actor.user},
                               {"uid", row.actor.uid},
                               {"tty", row.actor.tty},
                               {"remote", row.actor.remote},
                               {"summary", row.summary},
                               {"details", error ? json::value() : std::move(details)}});
  }
  answer({{"ok", true}, {"activity", std::move(out)}});
}

}  // namespace

void serve(RequestContext& context, const Peer& peer, const json::object& request, Answer answer) {
  const auto verb = text(request, "do");
  if (!verb) return answer(refusal(verb.error().what));
  const bool changes = *verb == "block" || *verb == "unblock";
  const auto state_dir = text(request, "state_dir");
  if (state_dir && !state_dir->empty() && *state_dir != context.state_dir()) {
    json::object other = refusal("the daemon keeps another state: " + context.state_dir());
    other["other_state"] = true;
    return answer(std::move(other));
  }
  if (changes && !peer.may_change) {
    return answer(refusal("only root may do that (try: sudo)"));
  }
  if (*verb == "hello") {
    return answer(
        {{"ok", true}, {"state_dir", context.state_dir()}, {"policy", context.policy().file}});
  }
  if (*verb == "block") return do_block(context, peer, request, answer);
  if (*verb == "unblock") return do_unblock(context, peer, request, answer);
  if (*verb == "blocks") return do_blocks(context, request, answer);
  if (*verb == "counts") return do_counts(context, request, answer);
  if (*verb == "status") return do_status(context, answer);
  if (*verb == "activity") return do_activity(context, request, answer);
  answer(
      refusal(fmt::format("{} is no request; there are hello, block, unblock, blocks, counts, "
                          "status and activity",
                          quote(*verb))));
}

json::object to_json(const BanDecision& decision, WallTime end) {
  json::array ports;
  for (const std::uint16_t port : decision.evidence.ports) ports.push_back(port);
  return {{"address", to_string(decision.range)},
          {"times", decision.times},
          {"end_ms", ms_of(end)},
          {"what", decision.evidence.what},
          {"count", decision.evidence.count},
          {"ports", std::move(ports)},
          {"first_ms", ms_of(decision.evidence.first)},
          {"last_ms", ms_of(decision.evidence.last)},
          {"rule", to_string(decision.where)}};
}

std::chrono::microseconds read_took(const std::string& details) {
  boost::system::error_code error;
  const json::value value = json::parse(details, error);
  if (error || !value.is_object()) return {};
  return std::chrono::microseconds{number(value.get_object(), "took_us", 0, INT64_MAX).value_or(0)};
}

std::optional<ReadOffence> read_offence(const std::string& details) {
  boost::system::error_code error;
  const json::value value = json::parse(details, error);
  if (error || !value.is_object()) return {};
  const json::object& row = value.get_object();
  const json::value* const address = row.if_contains("address");
  const auto times = number(row, "times", 1, 1'000'000);
  const auto end = number(row, "end_ms", 0, INT64_MAX);
  if (address == nullptr || !address->is_string() || !times || !end) return {};
  const auto range = parse_ip_range(std::string_view(address->get_string()));
  if (!range) return {};
  return ReadOffence{*range, static_cast<unsigned>(*times),
                     WallTime{std::chrono::milliseconds{*end}}};
}

}  // namespace fw
