// The inventory of a Docker engine: asked for once, or followed.
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
using ImageLabels = std::map<std::string, std::map<std::string, std::string>>;

/// What the engine at `socket` has now. Errors: it does not answer, within kDockerPatience a
/// request.
Result<Inventory> ask(const std::string& socket, ImageLabels& images);
inline Result<Inventory> ask(const std::string& socket) {
  ImageLabels images;
  return ask(socket, images);
}

/// Handed from thread to thread without a copy.
using SharedInventory = std::shared_ptr<const Inventory>;

/// What of an engine's inventory to ask for.
struct Part {
  bool everything = false;
  bool networks = false;
  std::set<std::string> containers{};  ///< by their ids, of hexadecimal digits

  /// And what an event touched; everything, when that is not known, or is much.
  void add(const Touched& touched);
};

/// Follows an engine in a thread of its own, for as long as it lives.
class Watch {
 public:
  /// Called in that thread: with an inventory at the beginning and after each change; with an error
  /// when the engine cannot be followed, after which it is tried again each second.
  using Tell = std::function<void(Result<SharedInventory>)>;

  Watch(std::string socket, Tell tell);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  void run();
  Result<void> follow();
  Result<void> follow(Events& events);
  /// Tells what is another than what was told last.
  Result<void> look(Part part);

  const std::string socket_;
  const Tell tell_;
  // Of the thread:
  ImageLabels images_;
  SharedInventory known_;  ///< what was told last, since the engine is followed
  std::chrono::steady_clock::time_point whole_at_;  ///< when everything was asked for

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;         // guarded by mutex_
  Events* events_ = nullptr;  // that is followed; guarded by mutex_
  std::thread thread_;
};

}  // namespace fw::docker
