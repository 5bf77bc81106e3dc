// The inventory of a Docker engine: asked for once, or followed.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "fw/docker/events.hpp"
#include "fw/inventory/docker.hpp"

namespace fw::docker {

/// Labels of images by their id, which never changes what it stands for.
using ImageLabels = std::map<std::string, Labels>;

/// What the engine at `socket` has now. Errors: it does not answer, within kDockerPatience a
/// request.
Result<Inventory> ask(const std::string& socket, ImageLabels& images);
inline Result<Inventory> ask(const std::string& socket) {
  ImageLabels images;
  return ask(socket, images);
}

/// What an engine has of a part of its inventory.
struct News {
  InventoryPart part;
  Inventory now;
};
/// Handed from thread to thread without a copy.
using SharedNews = std::shared_ptr<const News>;

/// Follows an engine in a thread of its own, for as long as it lives.
class Watch {
 public:
  /// Called in that thread: with everything at the beginning, and with what may have changed after
  /// each change; with an error when the engine cannot be followed, after which it is tried again
  /// each second, and begins with everything.
  using Tell = std::function<void(Result<SharedNews>)>;

  Watch(std::string socket, Tell tell);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Begins again with everything, soon.
  void again();

 private:
  void run();
  Result<void> follow();
  Result<void> follow(Events& events);
  /// Reports what differs from the last report.
  Result<void> look(InventoryPart part);

  const std::string socket_;
  const Tell tell_;
  // Of the thread:
  ImageLabels images_;
  std::optional<Inventory> known_;  ///< what was reported, since the engine is followed
  std::chrono::steady_clock::time_point whole_at_;  ///< when everything was asked for

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;         // guarded by mutex_
  bool again_ = false;        // guarded by mutex_
  Events* events_ = nullptr;  // that is followed; guarded by mutex_
  std::thread thread_;
};

}  // namespace fw::docker
