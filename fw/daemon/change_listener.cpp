// Changes of the kernel's rulesets by other programs, as they happen.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/change_listener.hpp"

#include <utility>

#include <fmt/format.h>

#include "chains/netlink/kernel.hpp"
#include "fw/base/suggest.hpp"

namespace fw {

HeardChanges hear(std::span<const chains::RulesetChange> changes, ObservedGeneration& observed) {
  HeardChanges heard;
  for (const chains::RulesetChange& change : changes) {
    observed.changed(change.generation, change.ours);
    if (!change.ours) heard.of_other_tables = true;
    if (!change.ours || chains::is_own_port(change.port)) continue;
    heard.of_ours = true;
    heard.removed_ours = heard.removed_ours || change.removed;
    heard.by = fmt::format("{} (pid {})", printable(change.process), change.pid);
  }
  return heard;
}

ChangeListener::ChangeListener(boost::asio::io_context& io, chains::RulesetWatch watch,
                               ObservedGeneration& observed, Messages& messages, Handler handler)
    : watch_(std::move(watch)),
      observed_(observed),
      messages_(messages),
      handler_(std::move(handler)),
      fd_(io) {}

ChangeListener::~ChangeListener() {
  if (fd_.is_open()) fd_.release();
}

void ChangeListener::begin() {
  if (!fd_.is_open()) fd_.assign(watch_.fd());
  fd_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                 [this](const boost::system::error_code& error) {
                   // When it ends, a check each minute remains.
                   if (!error && read()) begin();
                 });
}

bool ChangeListener::read() {
  const auto drained = watch_.drain();
  if (!drained || drained->lost) observed_.forget();
  if (!drained) {
    messages_.send(Level::error, to_string(drained.error()));
    return false;
  }
  HeardChanges heard = hear(drained->changes, observed_);
  heard.of_ours = heard.of_ours || drained->lost;
  if (heard != HeardChanges{}) handler_(heard);
  return true;
}

void ChangeListener::add_counts(DaemonCounts& to) const {
  const auto watched = watch_.counts();
  to.changes_seen = watched.changes;
  to.changes_lost = watched.lost;
  to.malformed += watched.malformed;
}

}  // namespace fw
