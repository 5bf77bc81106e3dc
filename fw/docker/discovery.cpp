// The inventory of a Docker engine.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/docker/discovery.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "fw/base/digit.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/docker/client.hpp"
#include "fw/inventory/docker.hpp"

namespace fw::docker {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgain = 1s;
/// After an event, the moments at which it is looked what there is. Docker tells the end of a
/// container, and of some networks, before its lists show it, and tells nothing when they do: then
/// once is not enough (Touched::listed).
constexpr std::array<std::chrono::milliseconds, 3> kLooks{20ms, 200ms, 1s};
constexpr std::chrono::milliseconds kFirstLookMax{150};  // though events go on
/// An engine drops events when they are not read in time, which is never told: so of looks that are
/// due anyway one a minute is at everything.
constexpr auto kWholePeriod = 60s;
constexpr std::size_t kPartMax = 32;  // containers that are asked for by name
constexpr std::size_t kIdMax = 128;   // characters of an id; Docker's have 64
// Container and network events, as JSON with the quotes and brackets escaped.
constexpr const char* kEvents =
    "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

/// Only of containers that have a label which is used: the others have none to lose.
void tell_labels_apart(const Client& client, ImageLabels& images, Inventory& inventory) {
  for (fw::Container& container : inventory.containers) {
    if (container.labels.empty()) continue;
    if (!images.contains(container.image)) {
      const auto answer = client.get("/images/" + container.image + "/json");
      const auto labels =
          answer ? read_docker_image(*answer) : Result<Labels>(std::unexpected(answer.error()));
      if (!labels) {
        inventory.left_out.push_back(fmt::format(
            "container {}: its labels are ignored, as the labels of its image are unknown",
            printable(container.name)));
        container.labels.clear();
        continue;
      }
      images.emplace(container.image, *labels);
    }
    drop_image_labels(container, images.at(container.image));
  }
}

/// Puts in what an event touched; everything, when that is not known, or is much.
void add(InventoryPart& part, const Touched& touched) {
  const bool id = !touched.container.empty() && touched.container.size() <= kIdMax &&
                  std::ranges::all_of(touched.container,
                                      [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
  part.networks = part.networks || touched.networks;
  if (id) part.containers.insert(touched.container);
  part.everything =
      part.everything || (!id && !touched.networks) || part.containers.size() > kPartMax;
}

/// When to look after events that come together, and at what: a container that starts makes
/// several.
class Looks {
 public:
  using Clock = std::chrono::steady_clock;

  void heard(const Touched& touched, Clock::time_point now) {
    if (next_ != 0) first_ = now;
    if (next_ == kLooks.size()) {
      at_ = {};
      behind_.clear();
    }
    next_ = 0;
    if (touched.listed && !touched.container.empty()) {
      behind_.erase(touched.container);
    } else {
      behind_.insert(behind_.size() < kPartMax ? touched.container : "");
    }
    due_ = std::min(now + kLooks[0], first_ + kFirstLookMax);
    add(at_, touched);
  }
  void looked(Clock::time_point now) {
    next_ = behind_.empty() ? kLooks.size() : next_ + 1;
    if (next_ < kLooks.size()) due_ = now + kLooks[next_];
  }
  /// Nothing when none is due, 0 when one is.
  std::optional<std::chrono::milliseconds> wait(Clock::time_point now) const {
    if (next_ == kLooks.size()) return std::nullopt;
    return std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(due_ - now));
  }
  const InventoryPart& at() const { return at_; }

 private:
  std::size_t next_ = kLooks.size();
  Clock::time_point first_;  ///< when the first event came that was not looked after
  Clock::time_point due_;
  InventoryPart at_;
  std::set<std::string> behind_;  ///< whom the lists may not show yet; "": networks
};

/// The list of all containers, or of some, with the brackets and quotes of JSON escaped.
std::string list_of(const InventoryPart& part) {
  std::string target = "/containers/json?all=1";
  if (part.everything) return target;
  const char* separator = "&filters=%7B%22id%22%3A%5B%22";
  for (const std::string& id : part.containers) {
    target += separator + id;
    separator = "%22%2C%22";
  }
  return target + "%22%5D%7D";
}

Result<Inventory> ask(const Client& client, const InventoryPart& part, ImageLabels& images) {
  Inventory out;
  if (part.everything || !part.containers.empty()) {
    const auto answer = client.get(list_of(part));
    if (!answer) return std::unexpected(answer.error());
    auto containers = read_docker_containers(*answer);
    if (!containers) return containers;
    out = std::move(*containers);
    std::erase_if(out.containers, [&part](const fw::Container& container) {
      return !part.everything && !part.containers.contains(container.id);
    });
  }
  if (part.everything || part.networks) {
    const auto answer = client.get("/networks");
    if (!answer) return std::unexpected(answer.error());
    auto networks = read_docker_networks(*answer);
    if (!networks) return std::unexpected(networks.error());
    out.networks = std::move(networks->networks);
    out.lan = std::move(networks->lan);
  }
  tell_labels_apart(client, images, out);
  return out;
}

void forget_images(ImageLabels& images, const Inventory& inventory) {
  if (images.size() <= inventory.containers.size()) return;
  std::set<std::string_view> used;
  for (const fw::Container& container : inventory.containers) used.insert(container.image);
  std::erase_if(images, [&used](const auto& image) { return !used.contains(image.first); });
}

}  // namespace

Result<Inventory> ask(const std::string& socket, ImageLabels& images) {
  return ask(Client(socket), {.everything = true}, images);
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

void Watch::again() {
  const std::lock_guard lock(mutex_);
  again_ = true;
  if (events_ != nullptr) events_->stop();
  stopping_.notify_all();
}

void Watch::run() {
  for (;;) {
    const auto done = follow();
    std::unique_lock lock(mutex_);
    if (stop_) return;
    known_.reset();
    if (std::exchange(again_, false)) continue;
    lock.unlock();
    if (!done) tell_(std::unexpected(done.error()));
    lock.lock();
    stopping_.wait_for(lock, kTryAgain, [this] { return stop_ || again_; });
    if (stop_) return;
    again_ = false;
  }
}

Result<void> Watch::follow() {
  auto events = Events::follow(socket_, kEvents, kDockerPatience);
  if (!events) return std::unexpected(events.error());
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || again_) return {};
    events_ = &*events;
  }
  const auto done = follow(*events);
  const std::lock_guard lock(mutex_);
  events_ = nullptr;
  return done;
}

/// The events first, so that none is missed between them and the inventory.
Result<void> Watch::follow(Events& events) {
  if (auto told = look({}); !told) return told;
  Looks looks;
  for (;;) {
    const auto wait = looks.wait(Looks::Clock::now());
    if (wait == 0ms) {
      if (auto told = look(looks.at()); !told) return told;
      looks.looked(Looks::Clock::now());
      continue;
    }
    const auto event = events.next(wait);
    if (!event) return std::unexpected(event.error());
    if (!*event) continue;
    const Touched touched = touched_by(**event);
    if (touched.inventory) looks.heard(touched, Looks::Clock::now());
  }
}

Result<void> Watch::look(InventoryPart part) {
  const auto now_at = std::chrono::steady_clock::now();
  // What is left out, and what is too much, is known of all together.
  part.everything = part.everything || !known_ || !known_->left_out.empty() ||
                    known_->containers.size() + part.containers.size() > kContainersMax ||
                    now_at - whole_at_ >= kWholePeriod;
  auto now = ask(Client(socket_), part, images_);
  if (now && !part.everything && !now->left_out.empty()) {
    part.everything = true;
    now = ask(Client(socket_), part, images_);
  }
  if (!now) return std::unexpected(now.error());
  if (part.everything) whole_at_ = now_at;
  const bool first = !known_;
  if (first) known_.emplace();
  // Of the looks behind an event most show what the first one did.
  const auto clock = std::chrono::floor<std::chrono::seconds>(now_at.time_since_epoch()).count();
  if (update(*known_, part, *now, clock).empty() && !first) return {};
  forget_images(images_, *known_);
  tell_(std::make_shared<const News>(std::move(part), std::move(*now)));
  return {};
}

}  // namespace fw::docker
