// What Prometheus is told.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/metrics.hpp"

#include <gtest/gtest.h>

namespace fw {
namespace {

using namespace std::chrono_literals;

constexpr const char* kWhole =
    R"(# HELP cloudron_fw_limit_accepted_connections_total Connections that a limit admitted.
# TYPE cloudron_fw_limit_accepted_connections_total counter
cloudron_fw_limit_accepted_connections_total{limit="ssh"} 1
cloudron_fw_limit_accepted_connections_total{limit="web"} 18446744073709551615
# HELP cloudron_fw_limit_refused_packets_total Packets that a limit refused; a refused client sends several.
# TYPE cloudron_fw_limit_refused_packets_total counter
cloudron_fw_limit_refused_packets_total{limit="ssh"} 2
cloudron_fw_limit_refused_packets_total{limit="web"} 0
# HELP cloudron_fw_limit_overflowed_connections_total Connections counted by their network because the meter was full.
# TYPE cloudron_fw_limit_overflowed_connections_total counter
cloudron_fw_limit_overflowed_connections_total{limit="ssh"} 3
cloudron_fw_limit_overflowed_connections_total{limit="web"} 0
# HELP cloudron_fw_limit_sources Sources that a limit tracks now.
# TYPE cloudron_fw_limit_sources gauge
cloudron_fw_limit_sources{limit="ssh"} 7
cloudron_fw_limit_sources{limit="web"} 0
# HELP cloudron_fw_limit_meter_sources Sources in the fuller meter of a limit.
# TYPE cloudron_fw_limit_meter_sources gauge
cloudron_fw_limit_meter_sources{limit="ssh"} 4
cloudron_fw_limit_meter_sources{limit="web"} 0
# HELP cloudron_fw_limit_meter_capacity_sources Sources that one meter can hold.
# TYPE cloudron_fw_limit_meter_capacity_sources gauge
cloudron_fw_limit_meter_capacity_sources{limit="ssh"} 65535
cloudron_fw_limit_meter_capacity_sources{limit="web"} 65535
# HELP cloudron_fw_dropped_packets_total Packets dropped, by reason.
# TYPE cloudron_fw_dropped_packets_total counter
cloudron_fw_dropped_packets_total{reason="blocked"} 8
cloudron_fw_dropped_packets_total{reason="closed"} 9
# HELP cloudron_fw_unlabelled_connections_total Connections counted by their id, as they hold no label.
# TYPE cloudron_fw_unlabelled_connections_total counter
cloudron_fw_unlabelled_connections_total 29
# HELP cloudron_fw_connections_total Connections opened.
# TYPE cloudron_fw_connections_total counter
cloudron_fw_connections_total 10
# HELP cloudron_fw_open_connections Connections now open.
# TYPE cloudron_fw_open_connections gauge
cloudron_fw_open_connections 11
# HELP cloudron_fw_app_connections_total Connections opened by an app.
# TYPE cloudron_fw_app_connections_total counter
cloudron_fw_app_connections_total{app="wiki"} 12
# HELP cloudron_fw_blocks Blocks in force, by origin.
# TYPE cloudron_fw_blocks gauge
cloudron_fw_blocks{origin="a \"\\u0007\" b\\n"} 1
cloudron_fw_blocks{origin="admin"} 13
# HELP cloudron_fw_present 1 while the kernel holds the firewall.
# TYPE cloudron_fw_present gauge
cloudron_fw_present 1
# HELP cloudron_fw_off 1 while the firewall is off since a reset.
# TYPE cloudron_fw_off gauge
cloudron_fw_off 0
# HELP cloudron_fw_checks_total Comparisons of the kernel with what was last applied.
# TYPE cloudron_fw_checks_total counter
cloudron_fw_checks_total 14
# HELP cloudron_fw_last_check_duration_seconds How long the last comparison took.
# TYPE cloudron_fw_last_check_duration_seconds gauge
cloudron_fw_last_check_duration_seconds 0.0005
# HELP cloudron_fw_repairs_total Repairs of changes by other programs.
# TYPE cloudron_fw_repairs_total counter
cloudron_fw_repairs_total 15
# HELP cloudron_fw_app_changes_total Container changes that changed the rules.
# TYPE cloudron_fw_app_changes_total counter
cloudron_fw_app_changes_total 28
# HELP cloudron_fw_last_repair_duration_seconds How long the last repair took.
# TYPE cloudron_fw_last_repair_duration_seconds gauge
cloudron_fw_last_repair_duration_seconds 1.25
# HELP cloudron_fw_applies_total Applies by commands, if they changed something.
# TYPE cloudron_fw_applies_total counter
cloudron_fw_applies_total 27
# HELP cloudron_fw_last_apply_duration_seconds How long the last such apply took.
# TYPE cloudron_fw_last_apply_duration_seconds gauge
cloudron_fw_last_apply_duration_seconds 0.028
# HELP cloudron_fw_offenders_total Blocks made by [[offender]].
# TYPE cloudron_fw_offenders_total counter
cloudron_fw_offenders_total 16
# HELP cloudron_fw_events_total Messages read from the kernel.
# TYPE cloudron_fw_events_total counter
cloudron_fw_events_total{kind="flows"} 17
cloudron_fw_events_total{kind="refusals"} 18
cloudron_fw_events_total{kind="ruleset_changes"} 19
# HELP cloudron_fw_events_lost_total Messages of the kernel lost, as they came too fast.
# TYPE cloudron_fw_events_lost_total counter
cloudron_fw_events_lost_total{kind="flows"} 20
cloudron_fw_events_lost_total{kind="refusals"} 21
cloudron_fw_events_lost_total{kind="ruleset_changes"} 22
# HELP cloudron_fw_malformed_events_total Messages of the kernel skipped as malformed.
# TYPE cloudron_fw_malformed_events_total counter
cloudron_fw_malformed_events_total 23
# HELP cloudron_fw_journal_messages_left_out_total Journal messages suppressed, as there were too many.
# TYPE cloudron_fw_journal_messages_left_out_total counter
cloudron_fw_journal_messages_left_out_total 24
# HELP cloudron_fw_control_clients Clients of the control socket.
# TYPE cloudron_fw_control_clients gauge
cloudron_fw_control_clients 25
# HELP cloudron_fw_metrics_clients Clients of the metrics.
# TYPE cloudron_fw_metrics_clients gauge
cloudron_fw_metrics_clients 26
)";

TEST(Metrics, TellAll) {
  Counts counts;
  counts.present = true;
  counts.limits = {{"ssh", {5, 10s}, 1, 2, 3, 7, 4}, {"web", {5000, 1s}, UINT64_MAX}};
  counts.dropped = {{"blocked", 8}, {"closed", 9}};
  counts.unlabelled = 29;
  counts.connections = 10;
  counts.open = 11;
  counts.apps = {{"wiki", 12}};
  counts.blocks = {{"admin", 13}, {"a \"\a\" b\n", 1}};
  DaemonCounts& daemon = counts.daemon;
  daemon.checks = 14;
  daemon.last_check = 500us;
  daemon.repairs = 15;
  daemon.app_changes = 28;
  daemon.last_repair = 1250ms;
  daemon.applies = 27;
  daemon.last_apply = 28ms;
  daemon.offenders = 16;
  daemon.flow_events = 17;
  daemon.refusals = 18;
  daemon.changes_seen = 19;
  daemon.flow_events_lost = 20;
  daemon.refusals_lost = 21;
  daemon.changes_lost = 22;
  daemon.malformed = 23;
  daemon.messages_left_out = 24;
  daemon.clients = 25;
  daemon.metrics_clients = 26;
  EXPECT_EQ(metrics_text(counts), kWhole);
}

}  // namespace
}  // namespace fw
