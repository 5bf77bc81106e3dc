// What the daemon does for commands.
#include "cli/daemon_client.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/record.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/daemon/client.hpp"

namespace cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kCommandPatience{20};
constexpr std::size_t kBlocksTold = 50'000;  // as many as the daemon tells at once

std::vector<fw::Block> blocks_of(const json::object& answer, std::string_view key) {
  std::vector<fw::Block> out;
  const json::value* const rows = answer.if_contains(key);
  if (rows == nullptr) return out;
  for (const json::value& row : rows->as_array()) {
    const auto time = [](const json::value& ms) {
      return fw::WallTime{std::chrono::milliseconds{ms.to_number<std::int64_t>()}};
    };
    const auto text = [&row](const char* name) { return std::string(row.at(name).as_string()); };
    const auto range = fw::parse_ip_range(text("address"));
    if (!range) continue;
    fw::Block block{*range, {}, text("reason"), text("origin"), time(row.at("since_ms"))};
    if (!row.at("until_ms").is_null()) block.until = time(row.at("until_ms"));
    out.push_back(std::move(block));
  }
  return out;
}

fw::BlockOutcome outcome_of(const json::object& answer) {
  fw::BlockOutcome out;
  out.in_force = answer.at("in_force").as_bool();
  if (const auto* cut = answer.if_contains("flows_cut")) {
    out.flows_cut = cut->to_number<std::size_t>();
  }
  out.change.kept_longer = blocks_of(answer, "kept_longer");
  out.change.longer_by_others = blocks_of(answer, "longer_by_others");
  out.change.removed = blocks_of(answer, "unblocked");
  out.change.still_covers = blocks_of(answer, "still_blocked_by");
  if (const auto* missing = answer.if_contains("not_found")) {
    for (const json::value& one : missing->as_array()) {
      if (const auto range = fw::parse_ip_range(std::string_view(one.as_string()))) {
        out.change.not_found.push_back(*range);
      }
    }
  }
  for (const json::value& warning : answer.at("warnings").as_array()) {
    out.warnings.emplace_back(warning.as_string());
  }
  return out;
}

std::string text_of(const json::value& of, const char* name) {
  return std::string(of.at(name).as_string());
}
std::uint64_t number_of(const json::value& of, const char* name) {
  return of.at(name).to_number<std::uint64_t>();
}
fw::WallTime time_of(const json::value& of, const char* name) {
  return fw::WallTime{std::chrono::milliseconds{of.at(name).to_number<std::int64_t>()}};
}

/// Throws where the daemon says something else than this version does.
template <class T>
T must_be(fw::Result<T> parsed) {
  if (!parsed) throw std::invalid_argument("");
  return std::move(*parsed);
}

fw::Status::Limited limited_of(const json::value& limit) {
  fw::Status::Limited out;
  out.counts = {text_of(limit, "name"),         must_be(fw::parse_rate(text_of(limit, "rate"))),
                number_of(limit, "accepted"),   number_of(limit, "refused"),
                number_of(limit, "overflowed"), number_of(limit, "sources"),
                number_of(limit, "fullest")};
  for (const json::value& port : limit.at("ports").as_array()) {
    out.ports.emplace_back(port.as_string());
  }
  out.from = limit.at("from") == "apps" ? fw::Source::apps : fw::Source::outside;
  out.per = limit.at("per") == "app" ? fw::LimitKey::app : fw::LimitKey::ip;
  return out;
}

fw::WeakSetting setting_of(const json::value& setting) {
  fw::WeakSetting out;
  for (const auto harm : {fw::SettingHarm::medium, fw::SettingHarm::high}) {
    if (text_of(setting, "harm") == to_string(harm)) out.harm = harm;
  }
  out.name = text_of(setting, "name");
  out.value = setting.at("value").to_number<std::int64_t>();
  out.means = text_of(setting, "means");
  out.remedy = text_of(setting, "remedy");
  return out;
}

fw::ListReport list_of(const json::value& list) {
  fw::ListReport out;
  out.name = text_of(list, "name");
  out.file = text_of(list, "file");
  for (const auto action : {fw::ListAction::block, fw::ListAction::allow, fw::ListAction::open}) {
    if (text_of(list, "action") == to_string(action)) out.action = action;
  }
  out.entries = number_of(list, "entries");
  out.bad_count = number_of(list, "bad_lines");
  out.last_good = list.at("last_good").as_bool();
  out.problem = text_of(list, "problem");
  return out;
}

fw::Trouble trouble_of(const json::value& trouble) {
  fw::Trouble out;
  out.off = trouble.at("off").as_bool();
  if (const json::value& panic = trouble.at("panic"); !panic.is_null()) {
    out.panic.emplace();
    out.panic->since = time_of(panic, "since_ms");
    out.nobody_gets_in = panic.at("nobody_gets_in").as_bool();
    for (const json::value& caller : panic.at("callers").as_array()) {
      out.panic->panic.callers.push_back(
          must_be(fw::parse_ip(std::string_view(caller.as_string()))));
    }
  }
  if (const json::value& trial = trouble.at("trial"); !trial.is_null()) {
    out.trial = fw::Trouble::Trial{text_of(trial, "policy"), time_of(trial, "until_ms"),
                                   std::chrono::milliseconds{number_of(trial, "left_ms")}};
  }
  return out;
}

std::string state_dir_of(const Context& context) {
  return std::filesystem::absolute(context.state_dir).lexically_normal().string();
}

fw::Activity activity_of(const json::object& row) {
  const auto text = [&row](const char* name) { return std::string(row.at(name).as_string()); };
  const auto number = [&row](const char* name) { return row.at(name).to_number<std::int64_t>(); };
  fw::Activity out;
  out.id = number("id");
  out.time = fw::WallTime{std::chrono::milliseconds{number("time_ms")}};
  out.what = text("what");
  out.actor = {text("user"), static_cast<std::uint32_t>(number("uid")), text("tty"),
               text("remote")};
  out.summary = text("summary");
  if (!row.at("details").is_null()) out.details = json::serialize(row.at("details"));
  return out;
}

/// Hands the daemon's answer to `read`.
template <class Read>
auto told(const Context& context, json::object request, Read read)
    -> fw::Result<decltype(read(json::object()))> {
  request["state_dir"] = state_dir_of(context);
  const auto answer = fw::ask(context.socket, json::serialize(request), kCommandPatience);
  if (!answer) return std::unexpected(answer.error());
  try {
    const json::value value = json::parse(*answer);
    const json::object& object = value.as_object();
    if (object.at("ok") == json::value(true)) return read(object);
    return fw::fail(fw::ErrorCode::kernel_refused, std::string(object.at("error").as_string()));
  } catch (const std::exception&) {
    return fw::fail(
        fw::ErrorCode::io,
        "the daemon is of another version: restart it (systemctl restart cloudron-fwd)");
  }
}

std::optional<fw::Result<fw::BlockOutcome>> ask(const Context& context, json::object request,
                                                const std::vector<fw::IpRange>& ranges) {
  // Where there is no daemon this is all it costs.
  if (access(context.socket.c_str(), W_OK) != 0) return {};
  json::array addresses;
  for (const fw::IpRange& range : ranges) addresses.emplace_back(to_string(range));
  request["addresses"] = std::move(addresses);
  const fw::Actor actor = fw::actor_of(own_session());
  request["by"] = {
      {"user", actor.user}, {"uid", actor.uid}, {"tty", actor.tty}, {"remote", actor.remote}};
  request["state_dir"] = state_dir_of(context);
  const std::string line = json::serialize(request);
  if (line.size() >= fw::kControlLineMax) return {};
  // What is not UTF-8, in a reason or in the name of a folder, JSON cannot carry.
  boost::system::error_code not_json;
  (void)json::parse(line, not_json);
  if (not_json) return {};
  const auto answer = fw::ask(context.socket, line, kCommandPatience);
  if (!answer) return {};
  try {
    const json::value value = json::parse(*answer);
    const json::object& object = value.as_object();
    if (object.contains("other_state")) return {};
    if (object.at("ok") == json::value(true)) return outcome_of(object);
    const auto refused = [](std::string why) {
      return std::unexpected(fw::Error{fw::ErrorCode::kernel_refused, std::move(why), {}, {}, 0});
    };
    if (const json::value* const objections = object.if_contains("objections")) {
      std::string why;
      for (const json::value& one : objections->as_array()) {
        why += fmt::format("{}{} {}", why.empty() ? "" : "; ", text_of(one, "address"),
                           text_of(one, "why"));
      }
      return refused(why + ": nothing was blocked; use --force to block it anyway");
    }
    return refused(std::string(object.at("error").as_string()));
  } catch (const std::exception&) {
    return {};  // a daemon of another version: what is done twice is done once
  }
}

}  // namespace

std::optional<fw::Result<fw::BlockOutcome>> block_by_daemon(const Context& context,
                                                            const BlockRequest& request) {
  // Bytes that are no UTF-8 have no place in JSON.
  return ask(context,
             {{"do", "block"},
              {"for", request.for_time},
              {"reason", fw::printable(request.reason, request.reason.size())},
              {"origin", request.origin},
              {"force", request.force}},
             request.ranges);
}

std::optional<fw::Result<fw::BlockOutcome>> unblock_by_daemon(
    const Context& context, const std::vector<fw::IpRange>& ranges, const std::string& origin) {
  return ask(context, {{"do", "unblock"}, {"origin", origin}}, ranges);
}

bool asks_daemon(const Context& context) {
  return ::faccessat(AT_FDCWD, context.state_dir.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0 &&
         errno == EACCES;
}

fw::Result<ToldBlocks> blocks_of_daemon(const Context& context) {
  return told(context, {{"do", "blocks"}, {"count", kBlocksTold}}, [](const json::object& answer) {
    return ToldBlocks{blocks_of(answer, "blocks"), answer.at("all").to_number<std::size_t>()};
  });
}

fw::Result<ToldStatus> status_of_daemon(const Context& context) {
  return told(context, {{"do", "status"}}, [](const json::object& answer) {
    ToldStatus out;
    fw::Status& status = out.status;
    status.present = answer.at("present").as_bool();
    status.equal = answer.at("equal").as_bool();
    status.differences = answer.at("differences").to_number<std::size_t>();
    for (const json::value& port : answer.at("ports").as_array()) {
      status.ports.push_back({text_of(port, "port"), number_of(port, "new_flows")});
    }
    for (const json::value& limit : answer.at("limits").as_array()) {
      status.limits.push_back(limited_of(limit));
    }
    for (const auto& [name, packets] : answer.at("dropped").as_object()) {
      status.dropped[name] = packets.to_number<std::uint64_t>();
    }
    status.unlabelled = answer.at("unlabelled").to_number<std::uint64_t>();
    for (const json::value& list : answer.at("lists").as_array()) {
      status.lists.push_back(list_of(list));
    }
    for (const json::value& setting : answer.at("settings").as_array()) {
      status.settings.push_back(setting_of(setting));
    }
    for (const json::value& warning : answer.at("warnings").as_array()) {
      status.warnings.emplace_back(warning.as_string());
    }
    out.trouble = trouble_of(answer.at("trouble"));
    return out;
  });
}

fw::Result<std::vector<fw::Activity>> activity_of_daemon(const Context& context, fw::WallTime since,
                                                         std::int64_t after, std::size_t count,
                                                         const std::string& what) {
  return told(context,
              {{"do", "activity"},
               {"since_ms", std::max<std::int64_t>(fw::ms_of(since), 0)},
               {"after", after},
               {"count", count},
               {"what", what}},
              [](const json::object& answer) {
                std::vector<fw::Activity> rows;
                for (const json::value& row : answer.at("activity").as_array()) {
                  rows.push_back(activity_of(row.as_object()));
                }
                return rows;
              });
}

}  // namespace cli
