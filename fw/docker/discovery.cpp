// The inventory of a Docker engine.
#include "fw/docker/discovery.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/docker/client.hpp"
#include "fw/inventory/docker.hpp"

namespace fw::docker {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgain = 1s;
/// After an event, the moments at which it is looked what there is. Docker tells the end of a
/// container, and of some networks, before its lists show it, and tells nothing when they do: so
/// once is not enough.
constexpr std::array<std::chrono::milliseconds, 3> kLooks{20ms, 200ms, 1s};
constexpr std::chrono::milliseconds kFirstLookMax{150};  // though events go on
// Container and network events, as JSON with the quotes and brackets escaped.
constexpr const char* kEvents =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Only of containers that have a label which is heeded: the others have none to lose.
void tell_labels_apart(const Client& client, ImageLabels& images, Inventory& inventory) {
  std::set<std::string> used;
  for (Container& container : inventory.containers) {
    if (container.labels.empty()) continue;
    used.insert(container.image);
    if (!images.contains(container.image)) {
      const auto answer = client.get("/images/" + container.image + "/json");
      const auto labels =
          answer ? read_docker_image(*answer)
                 : Result<std::map<std::string, std::string>>(std::unexpected(answer.error()));
      if (!labels) {
        inventory.left_out.push_back(fmt::format(
            "container {}: its labels are ignored, for those of its image are not known",
            printable(container.name)));
        container.labels.clear();
        continue;
      }
      images.emplace(container.image, *labels);
    }
    drop_image_labels(container, images.at(container.image));
  }
  std::erase_if(images, [&used](const auto& image) { return !used.contains(image.first); });
}

/// When to look after events that come together: a container that starts makes several.
class Looks {
 public:
  using Clock = std::chrono::steady_clock;

  void heard(Clock::time_point now) {
    if (next_ != 0) first_ = now;
    next_ = 0;
    due_ = std::min(now + kLooks[0], first_ + kFirstLookMax);
  }
  void looked(Clock::time_point now) {
    ++next_;
    if (next_ < kLooks.size()) due_ = now + kLooks[next_];
  }
  /// Nothing when none is due, 0 when one is.
  std::optional<std::chrono::milliseconds> wait(Clock::time_point now) const {
    if (next_ == kLooks.size()) return std::nullopt;
    return std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(due_ - now));
  }

 private:
  std::size_t next_ = kLooks.size();
  Clock::time_point first_;  ///< when the first event came that was not looked after
  Clock::time_point due_;
};

Result<Answers> ask_lists(const Client& client) {
  auto containers = client.get("/containers/json?all=1");
  if (!containers) return std::unexpected(containers.error());
  auto networks = client.get("/networks");
  if (!networks) return std::unexpected(networks.error());
  return Answers{std::move(*containers), std::move(*networks)};
}

Result<Inventory> read_lists(const Client& client, const Answers& answers, ImageLabels& images) {
  auto inventory = read_docker_containers(answers.containers, wall_seconds());
  if (!inventory) return inventory;
  auto networks = read_docker_networks(answers.networks);
  if (!networks) return std::unexpected(networks.error());
  inventory->networks = std::move(*networks);
  tell_labels_apart(client, images, *inventory);
  return inventory;
}

}  // namespace

Result<Inventory> ask(const std::string& socket, ImageLabels& images) {
  const Client client(socket);
  const auto answers = ask_lists(client);
  if (!answers) return std::unexpected(answers.error());
  return read_lists(client, *answers, images);
}

Watch::Watch(std::string socket, Tell tell)
    : socket_(std::move(socket)), tell_(std::move(tell)), thread_([this] { run(); }) {}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    if (events_ != nullptr) events_->stop();
  }
  stopping_.notify_all();
  thread_.join();
}

void Watch::run() {
  for (;;) {
    const auto done = follow();
    std::unique_lock lock(mutex_);
    if (stop_) return;
    lock.unlock();
    answers_ = {};
    if (!done) tell_(std::unexpected(done.error()));
    lock.lock();
    stopping_.wait_for(lock, kTryAgain, [this] { return stop_; });
    if (stop_) return;
  }
}

Result<void> Watch::follow() {
  auto events = Events::follow(socket_, kEvents, kDockerPatience);
  if (!events) return std::unexpected(events.error());
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return {};
    events_ = &*events;
  }
  const auto done = follow(*events);
  const std::lock_guard lock(mutex_);
  events_ = nullptr;
  return done;
}

/// The events first, so that none is missed between them and the inventory.
Result<void> Watch::follow(Events& events) {
  if (auto told = tell_inventory(); !told) return told;
  Looks looks;
  for (;;) {
    const auto wait = looks.wait(Looks::Clock::now());
    if (wait == 0ms) {
      if (auto told = tell_inventory(); !told) return told;
      looks.looked(Looks::Clock::now());
      continue;
    }
    const auto event = events.next(wait);
    if (!event) return std::unexpected(event.error());
    if (*event && changes_inventory(**event)) looks.heard(Looks::Clock::now());
  }
}

Result<void> Watch::tell_inventory() {
  const Client client(socket_);
  auto answers = ask_lists(client);
  if (!answers) return std::unexpected(answers.error());
  // Of the looks behind an event most show what the first one did.
  if (*answers == answers_) return {};
  auto inventory = read_lists(client, *answers, images_);
  if (!inventory) return std::unexpected(inventory.error());
  // What was left out may be told when it is asked for once more.
  answers_ = inventory->left_out.empty() ? std::move(*answers) : Answers{};
  tell_(std::move(inventory));
  return {};
}

}  // namespace fw::docker
