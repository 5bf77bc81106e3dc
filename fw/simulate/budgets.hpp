// One limit's budgets, as the kernel keeps them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <variant>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "fw/base/limits.hpp"
#include "fw/policy/fair.hpp"
#include "fw/policy/policy.hpp"
#include "fw/simulate/rules.hpp"
#include "limiter/gcra.hpp"
#include "limiter/window.hpp"

namespace simulate {

using limiter::Ticks;

enum class Answer : std::uint8_t {
  admitted,
  overflowed,  ///< admitted by the budget of its network: the meter was full
  refused,
};

/// The sliding window of a count up to 16.
struct WindowKind {
  using State = limiter::BasicWindow<2>;
  static_assert(State::kCountMax >= fw::kWindowCountMax);

  unsigned count;
  Ticks width;

  bool take(State& state, Ticks now) const { return state.take(count, width, now).admitted(); }
  bool is_whole(const State& state, Ticks now) const { return state.is_idle(width, now); }
};

/// The token bucket of a larger count.
struct BucketKind {
  using State = Ticks;  ///< when it is full

  limiter::Quota quota;

  bool take(State& state, Ticks now) const {
    const limiter::Step step = limiter::gcra(state, quota, now);
    state = step.stored;
    return step.verdict.admitted();
  }
  bool is_whole(const State& state, Ticks now) const { return state <= now; }
};

/// A state for each client, for as many of a family as a kernel's meter holds.
template <class Kind>
class Meters {
 public:
  explicit Meters(const Kind& kind) : kind_(kind) {}

  /// Nothing when there is no room for one more client.
  std::optional<bool> take(const Client& client, std::uint64_t key, Ticks now) {
    if (client.app >= 0) return kind_.take(apps_[key], now);  // made with the policy: always room
    Meter& meter = meters_[static_cast<std::size_t>(client.address.family)];
    const auto known = meter.states.find(key);
    if (known != meter.states.end()) return kind_.take(known->second, now);
    if (meter.states.size() >= fw::kMeterSourcesMax) sweep(meter, now);
    if (meter.states.size() >= fw::kMeterSourcesMax) return {};
    return kind_.take(meter.states[key], now);
  }
  bool refuses(const Client& client, std::uint64_t key, Ticks now) const {
    const auto& states = meters_[static_cast<std::size_t>(client.address.family)].states;
    const auto known = states.find(key);
    if (known == states.end()) return false;
    auto copy = known->second;
    return !kind_.take(copy, now);
  }

 private:
  using States = boost::unordered_flat_map<std::uint64_t, typename Kind::State>;
  struct Meter {
    States states;
    Ticks swept = 0;
  };

  /// Once a second, as the kernel does.
  void sweep(Meter& meter, Ticks now) {
    if (now - meter.swept < limiter::to_ticks(std::chrono::seconds(1))) return;
    meter.swept = now;
    erase_if(meter.states, [&](const auto& entry) { return kind_.is_whole(entry.second, now); });
  }

  Kind kind_;
  std::array<Meter, 2> meters_;
  States apps_;
};

/// Times may be equal, but never go back.
class Budgets {
 public:
  explicit Budgets(const fw::Limit& limit);

  /// At a SYN: would it be refused? Spends nothing.
  bool refuses(const Client& client, std::uint64_t key, Ticks now) const;
  /// A connection of a client, whose key is a hash that is its own. `network_key` gives those of
  /// its networks.
  using NetworkKey = std::function<std::uint64_t(int prefix)>;
  Answer take(const Client& client, std::uint64_t key, Ticks now, const NetworkKey& network_key);

  struct AtOnce {
    bool too_many = false;
    std::uint64_t connections = 0;  ///< with this one, and those that were too many; 0: unlimited
    bool exact = true;              ///< false: at least
  };
  /// Would one more be too many at once? If not, `flow` is among those that are open from now on,
  /// for as long as `lives` says so.
  AtOnce one_more(std::uint64_t key, std::uint64_t flow, Ticks now,
                  const std::function<bool(std::uint64_t)>& lives);
  /// It was refused after all: it is not open from `until` on, though it lives on in the capture.
  void not_open(std::uint64_t key, std::uint64_t flow, Ticks until);

 private:
  using AnyMeters = std::variant<Meters<WindowKind>, Meters<BucketKind>>;
  struct Network {
    int prefix;
    AnyMeters meters;
  };
  static AnyMeters meters_of(const fw::Limit& limit, fw::FairNetwork::Budget budget);
  static std::vector<Network> networks_of(const fw::Limit& limit, fw::Family family);

  AnyMeters meters_;
  std::array<std::vector<Network>, 2> networks_;  ///< by family: asked when the meter is full
  bool looks_at_windows_;                         ///< at a SYN; else at who was refused just before
  BucketKind shared_;
  Ticks shared_state_ = 0;
  Ticks remembered_;                                         ///< how long a refusal is
  boost::unordered_flat_map<std::uint64_t, Ticks> refused_;  ///< until when
  std::optional<std::uint32_t> concurrent_;
  static constexpr Ticks kForever = std::numeric_limits<Ticks>::max();
  struct OpenFlow {
    std::uint64_t id = 0;
    Ticks until = kForever;
  };
  struct Open {
    std::vector<OpenFlow> flows;
    std::vector<std::uint64_t> beyond;  ///< were refused, and live on in the capture
    bool exact = true;                  ///< no more of those than could be kept

    void remember_beyond(std::uint64_t flow);
  };
  static constexpr std::size_t kBeyondMax = 256;
  boost::unordered_flat_map<std::uint64_t, Open> open_;
};

}  // namespace simulate
