// Changes of the kernel's rulesets by other programs, as they happen.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "chains/netlink/ruleset_watch.hpp"
#include "fw/daemon/counts.hpp"
#include "fw/host/observed_generation.hpp"
#include "fw/service/messages.hpp"

namespace fw {

/// What was heard of others; our own changes are left out.
struct HeardChanges {
  bool of_other_tables = false;  ///< rules there may write our bits of connection labels
  bool of_ours = false;
  bool removed_ours = false;
  std::string by{};  ///< who changed ours last: "nft (pid 7)"; a name that the process chose itself

  bool operator==(const HeardChanges&) const = default;
};
HeardChanges hear(std::span<const chains::RulesetChange> changes, ObservedGeneration& observed);

class ChangeListener {
 public:
  /// Called in the loop, or by read().
  using Handler = std::function<void(const HeardChanges&)>;

  ChangeListener(boost::asio::io_context& io, chains::RulesetWatch watch,
                 ObservedGeneration& observed, Messages& messages, Handler handler);
  ~ChangeListener();

  void begin();
  /// Reads what was reported until now. False when nothing will be reported any more.
  bool read();

  /// For commits outside the loop; see chains::RulesetWatch::pause().
  const chains::RulesetWatch& watch() const { return watch_; }

  void add_counts(DaemonCounts& to) const;

 private:
  chains::RulesetWatch watch_;
  ObservedGeneration& observed_;
  Messages& messages_;
  Handler handler_;
  boost::asio::posix::stream_descriptor fd_;  ///< of watch_, which owns it
};

}  // namespace fw
