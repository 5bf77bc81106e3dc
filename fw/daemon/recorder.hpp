// What the daemon writes into the activity log.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "chains/diff.hpp"
#include "fw/host/actor.hpp"
#include "fw/service/messages.hpp"
#include "fw/store/activity.hpp"

namespace fw {

class Recorder {
 public:
  Recorder(std::string state_dir, Messages& messages);

  /// From the next row on.
  void keep_within(const ActivityBounds& bounds) { bounds_ = bounds; }

  /// An action of a user. If the log cannot take it, a message says so.
  void record(const std::string& what, const Actor& actor, const std::string& summary,
              const boost::json::object& details);
  /// An action of the daemon itself.
  void record(const std::string& what, const std::string& summary,
              const boost::json::object& details) {
    record(what, self_, summary, details);
  }

 private:
  std::string state_dir_;
  Messages& messages_;
  const Actor self_ = actor_of({});
  ActivityBounds bounds_;
  std::optional<ActivityLog> log_;
};

/// The first kActivityLinesMax lines of a difference, for the details of a row.
boost::json::array first_lines(const chains::Description& difference);

}  // namespace fw
