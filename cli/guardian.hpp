// The process that rolls a trial back when nobody confirms it.
#pragma once

#include "cli/context.hpp"

namespace cli {

/// A process in a session of its own: it outlives this command, its terminal and its SSH session.
/// It ends by itself when the trial does.
class Guardian {
 public:
  /// Before anything is opened that a second process must not share: the store, a netlink socket.
  static fw::Result<Guardian> start(const Context& context);

  /// The trial is in the state folder. A guardian that is never told so ends with this object.
  void watch();

  Guardian(Guardian&& other) noexcept;
  Guardian& operator=(Guardian&&) = delete;
  ~Guardian();

 private:
  explicit Guardian(int to_process) : to_process_(to_process) {}
  int to_process_ = -1;
};

}  // namespace cli
