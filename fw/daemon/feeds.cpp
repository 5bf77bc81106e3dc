// The kernel's events of packets and flows.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/feeds.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

namespace fw {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::chrono::milliseconds kFeedRest{1};  // one wake-up for many flows
constexpr std::chrono::seconds kFadePeriod{10};    // of who is busiest

}  // namespace

Feeds::Feeds(boost::asio::io_context& io, Messages& messages, Handlers handlers)
    : messages_(messages),
      handlers_(std::move(handlers)),
      refusals_fd_(io),
      flows_fd_(io),
      rest_(io),
      fade_(io, kFadePeriod, [this] { traffic_->fade(); }) {}

Feeds::~Feeds() { release(); }

void Feeds::release() {
  if (refusals_fd_.is_open()) refusals_fd_.release();
  if (flows_fd_.is_open()) flows_fd_.release();
  rest_.cancel();
  refusals_.reset();
  flows_.reset();
}

void Feeds::begin(const Policy& policy) {
  if (!traffic_) fade_.start();
  traffic_.emplace(policy);
  open(policy);
}

void Feeds::reopen_lost(const Policy& policy) {
  if (!flows_ || (policy.nflog_group != 0 && !refusals_)) open(policy);
}

void Feeds::open(const Policy& policy) {
  release();
  open_refusals(policy);
  open_flows(policy);
}

void Feeds::open_refusals(const Policy& policy) {
  if (policy.nflog_group == 0) return;
  auto feed = chains::RefusalFeed::open(static_cast<std::uint16_t>(policy.nflog_group));
  if (!feed) {
    return messages_.send(Level::error, "cannot see refusals: " + to_string(feed.error()));
  }
  refusals_.emplace(std::move(*feed));
  refusals_fd_.assign(refusals_->fd());
  listen_for_refusals();
}

void Feeds::open_flows(const Policy& policy) {
  auto feed = chains::FlowFeed::open(counted_flows(policy));
  if (!feed) {
    return messages_.send(Level::error, "cannot see connections: " + to_string(feed.error()));
  }
  flows_.emplace(std::move(*feed));
  flows_fd_.assign(flows_->fd());
  listen_for_flows();
}

void Feeds::listen_for_refusals() {
  refusals_fd_.async_wait(stream_descriptor::wait_read, [this](const error_code& error) {
    if (!error && refusals_) read_refusals();
  });
}

void Feeds::read_refusals() {
  const auto drained = refusals_->drain();
  if (!drained) {
    messages_.send(Level::error, "cannot see refusals: " + to_string(drained.error()));
    refusals_fd_.release();
    return refusals_.reset();  // until reopen_lost()
  }
  for (const chains::Refusal& refusal : *drained) {
    traffic_->see(refusal);
    handlers_.refused(refusal);
  }
  listen_for_refusals();
}

void Feeds::listen_for_flows() {
  flows_fd_.async_wait(stream_descriptor::wait_read, [this](const error_code& error) {
    if (error) return;
    rest_.expires_after(kFeedRest);
    rest_.async_wait([this](const error_code& cancelled) {
      if (!cancelled && flows_) read_flows();
    });
  });
}

void Feeds::read_flows() {
  const auto events = flows_->drain();
  if (!events) {
    messages_.send(Level::error, "cannot see connections: " + to_string(events.error()));
    flows_fd_.release();
    return flows_.reset();
  }
  bool forgotten = false;
  for (const chains::FlowEvent& event : *events) {
    traffic_->see(event);
    forgotten = forgotten || was_open(event);
  }
  if (forgotten) handlers_.forgotten();
  listen_for_flows();
}

void Feeds::add_counts(DaemonCounts& to) const {
  if (flows_) {
    to.flow_events = flows_->counts().messages;
    to.flow_events_lost = flows_->counts().lost;
    to.flows_recovered = flows_->counts().recovered;
  }
  if (refusals_) {
    to.refusals = refusals_->counts().messages;
    to.refusals_lost = refusals_->counts().lost;
    to.malformed += refusals_->counts().malformed;
  }
}

bool was_open(const chains::FlowEvent& event) {
  return event.kind == chains::FlowEvent::Kind::ended && event.flow.assured() && !event.flow.ending;
}

chains::FlowFeedOptions counted_flows(const Policy& policy) {
  chains::FlowFeedOptions options;
  for (const auto& port : all_open_ports(policy)) options.ports.push_back(port.value);
  for (const Limit& limit : policy.limits) {
    options.ports.insert(options.ports.end(), limit.ports.begin(), limit.ports.end());
  }
  return options;
}

}  // namespace fw
