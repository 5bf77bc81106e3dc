// Counts in the text exposition format of Prometheus. Source:
// https://prometheus.io/docs/instrumenting/exposition_formats/
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/metrics.hpp"

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// In double quotes, as the format wants it; what cannot be shown is an escape already.
std::string label(std::string_view name, std::string_view value) {
  std::string out = fmt::format("{}=\"", name);
  for (const char c : printable(value, value.size())) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class Text {
 public:
  enum class Type { counter, gauge };

  /// Begins a metric; its samples follow.
  Text& metric(Type type, std::string_view name, std::string_view help) {
    name_ = fmt::format("cloudron_fw_{}", name);
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                        type == Type::counter ? "counter" : "gauge");
    return *this;
  }
  template <class T>
  void sample(T value, std::string_view labels = {}) {
    out_ += labels.empty() ? fmt::format("{} {}\n", name_, value)
                           : fmt::format("{}{{{}}} {}\n", name_, labels, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string name_;
  std::string out_;
};

constexpr auto kCounter = Text::Type::counter;
constexpr auto kGauge = Text::Type::gauge;

double seconds(std::chrono::microseconds time) {
  return std::chrono::duration<double>(time).count();
}

void add_limits(Text& text, const Counts& counts) {
  const auto each = [&](std::uint64_t LimitCounts::*member) {
    for (const LimitCounts& limit : counts.limits) {
      text.sample(limit.*member, label("limit", limit.name));
    }
  };
  text.metric(kCounter, "limit_accepted_connections_total", "Connections that a limit admitted.");
  each(&LimitCounts::accepted);
  text.metric(kCounter, "limit_refused_packets_total",
              "Packets that a limit refused; a refused client sends several.");
  each(&LimitCounts::refused);
  text.metric(kCounter, "limit_overflowed_connections_total",
              "Connections counted by their network because the meter was full.");
  each(&LimitCounts::overflowed);
  text.metric(kGauge, "limit_sources", "Sources that a limit tracks now.");
  each(&LimitCounts::sources);
  text.metric(kGauge, "limit_meter_sources", "Sources in the fuller meter of a limit.");
  each(&LimitCounts::fullest);
  text.metric(kGauge, "limit_meter_capacity_sources", "Sources that one meter can hold.");
  for (const LimitCounts& limit : counts.limits) {
    text.sample(kMeterSourcesMax, label("limit", limit.name));
  }
}

void add_traffic(Text& text, const Counts& counts) {
  text.metric(kCounter, "dropped_packets_total", "Packets dropped, by reason.");
  for (const auto& [reason, packets] : counts.dropped) {
    text.sample(packets, label("reason", reason));
  }
  text.metric(kCounter, "unlabelled_connections_total",
              "Connections counted by their id, as they hold no label.")
      .sample(counts.unlabelled);
  text.metric(kCounter, "connections_total", "Connections opened.").sample(counts.connections);
  text.metric(kGauge, "open_connections", "Connections now open.").sample(counts.open);
  text.metric(kCounter, "app_connections_total", "Connections opened by an app.");
  for (const AppCount& app : counts.apps) {
    text.sample(app.connections, label("app", app.name));
  }
  text.metric(kGauge, "blocks", "Blocks in force, by origin.");
  for (const auto& [origin, blocks] : counts.blocks) text.sample(blocks, label("origin", origin));
}

void add_daemon(Text& text, const Counts& counts) {
  const DaemonCounts& daemon = counts.daemon;
  text.metric(kGauge, "present", "1 while the kernel holds the firewall.")
      .sample(counts.present ? 1 : 0);
  text.metric(kGauge, "off", "1 while the firewall is off since a reset.")
      .sample(daemon.off ? 1 : 0);
  text.metric(kCounter, "checks_total", "Comparisons of the kernel with what was last applied.")
      .sample(daemon.checks);
  text.metric(kGauge, "last_check_duration_seconds", "How long the last comparison took.")
      .sample(seconds(daemon.last_check));
  text.metric(kCounter, "repairs_total", "Repairs of changes by other programs.")
      .sample(daemon.repairs);
  text.metric(kCounter, "app_changes_total", "Container changes that changed the rules.")
      .sample(daemon.app_changes);
  text.metric(kGauge, "last_repair_duration_seconds", "How long the last repair took.")
      .sample(seconds(daemon.last_repair));
  text.metric(kCounter, "applies_total", "Applies by commands, if they changed something.")
      .sample(daemon.applies);
  text.metric(kGauge, "last_apply_duration_seconds", "How long the last such apply took.")
      .sample(seconds(daemon.last_apply));
  text.metric(kCounter, "offenders_total", "Blocks made by [[offender]].").sample(daemon.offenders);
  text.metric(kCounter, "events_total", "Messages read from the kernel.");
  text.sample(daemon.flow_events, label("kind", "flows"));
  text.sample(daemon.refusals, label("kind", "refusals"));
  text.sample(daemon.changes_seen, label("kind", "ruleset_changes"));
  text.metric(kCounter, "events_lost_total", "Messages of the kernel lost, as they came too fast.");
  text.sample(daemon.flow_events_lost, label("kind", "flows"));
  text.sample(daemon.refusals_lost, label("kind", "refusals"));
  text.sample(daemon.changes_lost, label("kind", "ruleset_changes"));
  text.metric(kCounter, "malformed_events_total", "Messages of the kernel skipped as malformed.")
      .sample(daemon.malformed);
  text.metric(kCounter, "journal_messages_left_out_total",
              "Journal messages suppressed, as there were too many.")
      .sample(daemon.messages_left_out);
  text.metric(kGauge, "control_clients", "Clients of the control socket.").sample(daemon.clients);
  text.metric(kGauge, "metrics_clients", "Clients of the metrics.").sample(daemon.metrics_clients);
}

}  // namespace

std::string metrics_text(const Counts& counts) {
  Text text;
  add_limits(text, counts);
  add_traffic(text, counts);
  add_daemon(text, counts);
  return text.take();
}

}  // namespace fw
