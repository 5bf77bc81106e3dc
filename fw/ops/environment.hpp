// What every operation works in: where the state is, who asks, and where messages go.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fw/host/actor.hpp"
#include "fw/policy/parse.hpp"

namespace fw::ops {

/// Who asks. Looked for when it is first needed, and once: finding a session costs more than an
/// apply that has nothing to do.
class Caller {
 public:
  using FindSession = std::function<std::optional<Session>()>;
  using FindActor = std::function<Actor(const std::optional<Session>&)>;
  Caller(FindSession find_session, FindActor find_actor);

  /// The SSH session that the caller came in by, if there is one.
  const std::optional<Session>& session() const;
  const Actor& actor() const;

 private:
  struct Found;
  std::shared_ptr<Found> found_;
};

/// The person behind this process.
Caller this_process();

struct Environment {
  std::string state_dir;
  std::string socket;  ///< the daemon's
  std::string nginx;   ///< its folder, absolute; "": this firewall has no sites
  Caller caller = this_process();
  /// Called with each warning as it comes up, and with what is wrong besides the error that an
  /// operation returns.
  std::function<void(const Problem&)> tell = [](const Problem&) {};
  /// Something begins that may take a second; it ends with what this returns.
  std::function<std::shared_ptr<void>(const std::string&)> working = [](const std::string&) {
    return nullptr;
  };

  void warn(const std::string& what) const { tell({Severity::warning, what, {}}); }
  void error(const std::string& what) const { tell({Severity::error, what, {}}); }
  void error(const Error& error) const;
};

/// The state folder is there. What only reads does not make it: without it, all of it is empty.
bool has_state(const Environment& env);

}  // namespace fw::ops
