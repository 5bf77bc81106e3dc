// Whom the daemon answers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/servers.hpp"

#include <utility>

#include "fw/daemon/metrics.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {

namespace json = boost::json;

Servers::Servers(Shared& shared, chains::Kernel& kernel, Store& store, Bans& bans, Feeds& feeds,
                 std::function<void(DaemonCounts&)> count)
    : shared_(shared),
      kernel_(kernel),
      store_(store),
      bans_(bans),
      feeds_(feeds),
      count_(std::move(count)),
      control_(shared.io, [this](const Peer& peer, const json::object& request, Answer answer) {
        serve(*this, peer, request, std::move(answer));
      }) {}

void Servers::serve_metrics() {
  const std::optional<Endpoint>& wanted = policy().metrics;
  if (metrics_at_ == wanted) return;
  metrics_.reset();
  metrics_at_.reset();
  if (!wanted) return;
  metrics_.emplace(shared_.io, [this]() -> Result<std::string> {
    const auto all = count(kernel_, store_, policy(), traffic(), counts(), wall_clock());
    if (!all) return std::unexpected(all.error());
    return metrics_text(*all);
  });
  if (const auto listening = metrics_->listen(*wanted); !listening) {
    shared_.messages.send(Level::error, "cannot serve metrics: " + to_string(listening.error()));
    return metrics_.reset();
  }
  metrics_at_ = wanted;
}

DaemonCounts Servers::counts() const {
  DaemonCounts counts;
  count_(counts);
  counts.applies = applies_;
  counts.last_apply = last_apply_;
  counts.clients = control_.clients();
  if (metrics_) counts.metrics_clients = metrics_->clients();
  counts.messages_left_out = shared_.messages.suppressed();
  return counts;
}

HttpRules Servers::http_rules() {
  const Moment now = this_moment();
  return fw::http_rules(desired_policy(shared_.state_dir, now, shared_.in_force.kept()).policy);
}

void Servers::applied(std::chrono::microseconds took) {
  ++applies_;
  last_apply_ = took;
}

void Servers::with_lock(std::function<void()> work, std::function<void(const Error&)> busy) {
  shared_.queue.with_lock(std::move(work), std::move(busy));
}

void Servers::record(const std::string& what, const Actor& actor, const std::string& summary,
                     const json::object& details) {
  shared_.recorder.record(what, actor, summary, details);
}

}  // namespace fw
