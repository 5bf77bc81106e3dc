// Two samples of the daemon's counts as rates.
#include "fw/daemon/rates.hpp"

#include <algorithm>

#include <boost/json/array.hpp>

namespace fw {
namespace {

namespace json = boost::json;

std::uint64_t count_at(const json::object& of, std::string_view key) {
  const json::value* const value = of.if_contains(key);
  return value == nullptr ? 0 : value->to_number<std::uint64_t>();
}

std::string text_at(const json::object& of, std::string_view key) {
  return std::string(of.at(key).as_string());
}

/// The row of that name in an earlier answer; empty when there was none.
json::object row(const json::array& rows, const std::string& name) {
  for (const json::value& one : rows) {
    if (text_at(one.as_object(), "name") == name) return one.as_object();
  }
  return {};
}

class Between {
 public:
  Between(const json::object& before, const json::object& after) {
    const auto begin = before.at("time_ms").to_number<std::int64_t>();
    const auto end = after.at("time_ms").to_number<std::int64_t>();
    seconds_ = end > begin ? static_cast<double>(end - begin) / 1000 : 1;
  }
  double rate(std::uint64_t before, std::uint64_t after) const {
    return after < before ? 0 : static_cast<double>(after - before) / seconds_;
  }
  double rate(const json::object& before, const json::object& after, std::string_view key) const {
    return rate(count_at(before, key), count_at(after, key));
  }

 private:
  double seconds_;
};

std::vector<NamedCount> sources(const json::array& rows) {
  std::vector<NamedCount> out;
  for (const json::value& one : rows) {
    out.push_back({text_at(one.as_object(), "source"), count_at(one.as_object(), "count")});
  }
  return out;
}

}  // namespace

Rates rates(const json::object& before, const json::object& after) {
  const Between time(before, after);
  Rates out;
  out.connections = time.rate(before, after, "connections");
  out.open = count_at(after, "open");
  for (const json::value& one : after.at("limits").as_array()) {
    const json::object& limit = one.as_object();
    const std::string name = text_at(limit, "name");
    const json::object earlier = row(before.at("limits").as_array(), name);
    const auto capacity = std::max<std::uint64_t>(count_at(limit, "capacity"), 1);
    const auto fullest = static_cast<double>(count_at(limit, "fullest"));
    out.limits.push_back({name, text_at(limit, "rate"), time.rate(earlier, limit, "accepted"),
                          time.rate(earlier, limit, "refused"), count_at(limit, "sources"),
                          fullest / static_cast<double>(capacity)});
    out.refused += out.limits.back().refused;
  }
  for (const auto& [name, packets] : after.at("dropped").as_object()) {
    out.dropped.push_back({name, time.rate(count_at(before.at("dropped").as_object(), name),
                                           packets.to_number<std::uint64_t>())});
  }
  for (const json::value& one : after.at("apps").as_array()) {
    const std::string name = text_at(one.as_object(), "name");
    out.apps.push_back(
        {name, time.rate(row(before.at("apps").as_array(), name), one.as_object(), "connections")});
  }
  out.busiest = sources(after.at("busiest").as_array());
  out.most_refused = sources(after.at("most_refused").as_array());
  for (const auto& [origin, blocked] : after.at("blocks").as_object()) {
    out.blocks.push_back({std::string(origin), blocked.to_number<std::uint64_t>()});
  }
  const json::object& daemon = after.at("daemon").as_object();
  out.repairs = count_at(daemon, "repairs");
  out.lost = count_at(daemon, "flow_events_lost") + count_at(daemon, "refusals_lost") +
             count_at(daemon, "changes_lost");
  out.off = daemon.at("off").as_bool();
  return out;
}

}  // namespace fw
