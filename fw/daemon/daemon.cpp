// The daemon: creates its parts and connects them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/daemon.hpp"

#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>

#include "chains/netlink/devices.hpp"
#include "chains/netlink/kernel.hpp"
#include "chains/netlink/ruleset_watch.hpp"
#include "fw/base/file.hpp"
#include "fw/base/owner.hpp"
#include "fw/daemon/app_changes.hpp"
#include "fw/daemon/applier.hpp"
#include "fw/daemon/bans.hpp"
#include "fw/daemon/change_listener.hpp"
#include "fw/daemon/clocks.hpp"
#include "fw/daemon/device_follower.hpp"
#include "fw/daemon/engine_follower.hpp"
#include "fw/daemon/feeds.hpp"
#include "fw/daemon/repairer.hpp"
#include "fw/daemon/servers.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/daemon/stand_in.hpp"
#include "fw/daemon/stand_in_keeper.hpp"
#include "fw/host/block.hpp"
#include "fw/service/service_loop.hpp"
#include "fw/service/timers.hpp"
#include "fw/store/store.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;

constexpr auto kClockPeriod = 5s;   // between two looks whether the clock was set
constexpr auto kCheckPeriod = 60s;  // even when nobody notified
constexpr auto kFlushRest = 200ms;  // one look at open connections for many that were forgotten

/// The lock of the one daemon of a state folder, for as long as it lives.
Result<File> only_one(const std::string& state_dir) {
  auto file = open_lock_file(state_dir, "daemon.lock");
  if (file && ::flock(file->fd(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::usage, "another daemon uses " + state_dir + " already");
  }
  return file;
}

StandInKeeper::Table stand_in_table(StandIn& table) {
  return {[&table](chains::Ruleset rules) { return table.put(std::move(rules)); },
          [&table] { return table.remove(); }};
}

/// What it cannot begin without.
struct Needs {
  File only;
  chains::Kernel kernel;
  Store store;
  chains::RulesetWatch changes;
  chains::DeviceWatch devices;
};

class Daemon {
 public:
  Daemon(const DaemonOptions& options, Needs needs)
      : options_(options),
        only_(std::move(needs.only)),
        kernel_(std::move(needs.kernel)),
        store_(std::move(needs.store)),
        changes_(shared_.io, std::move(needs.changes), shared_.in_force.observed(),
                 shared_.messages, [this](const HeardChanges& heard) { repairer_.heard(heard); }),
        devices_(
            shared_.io, std::move(needs.devices), [this] { repairer_.check_within(0ms); },
            [this](const Error& error) {
              shared_.messages.send(Level::error, to_string(error));  // a check a minute remains
            }) {
    shared_.queue.before_each([this] { clock_.look(); });
    shared_.in_force.when_taken_up([this](PolicyInForce::Differs differs) { taken_up(differs); });
  }
  ~Daemon() { shared_.queue.join(); }  // its thread uses the parts
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  Result<void> run() {
    if (auto listening = servers_.listen(options_.socket); !listening) return listening;
    reload();
    changes_.begin();
    devices_.begin();
    clock_look_.start();
    period_.start();
    repairer_.check_within(0ms);
    shared_.messages.send(Level::info, "watching the firewall");
    loop_.run("watching", [this] { reload(); });
    return {};
  }

 private:
  void reload() { shared_.in_force.take_up(shared_.in_force.ask()); }

  /// What differs in its apps alone is a matter of every day: then nothing else begins again.
  void taken_up(PolicyInForce::Differs differs) {
    const Policy& policy = shared_.in_force.policy();
    if (differs == PolicyInForce::Differs::in_apps) {
      bans_.apps_changed();
      return feeds_.traffic().know(policy.apps);
    }
    shared_.recorder.keep_within({policy.activity.keep, policy.activity.bytes});
    bans_.begin();
    feeds_.begin(policy);
    servers_.serve_metrics();
    engine_.follow(policy.discovery);
  }

  void each_minute() {
    repairer_.check_within(0ms);
    repairer_.tell_sum();
    servers_.serve_metrics();                       // whoever had the port may be gone
    feeds_.reopen_lost(shared_.in_force.policy());  // or the group
  }

  Result<void> make_block(const Block& one, WallTime now) {
    const chains::Admission admission(shared_.in_force.policy().label_bit);
    const auto done = block(kernel_, store_, admission, {one}, now, Cut::added);
    return done ? Result<void>() : std::unexpected(done.error());
  }

  void count(DaemonCounts& counts) const {
    repairer_.add_counts(counts);
    feeds_.add_counts(counts);
    changes_.add_counts(counts);
    counts.app_changes = apps_.count();
    counts.offenders = bans_.blocked();
  }

  DaemonOptions options_;
  File only_;
  ServiceLoop loop_;
  Shared shared_{loop_.io(), options_.state_dir};
  chains::Kernel kernel_;
  Store store_;
  StandIn stand_in_table_;

  ChangeListener changes_;
  DeviceFollower devices_;
  Applier applier_{shared_, kernel_, changes_, devices_, [this] { repairer_.check_within(0ms); }};
  StandInKeeper stand_in_{shared_, stand_in_table(stand_in_table_)};
  Repairer repairer_{shared_, applier_, changes_, stand_in_, devices_};
  Bans bans_{shared_, [this](const Block& one, WallTime now) { return make_block(one, now); }};
  Feeds feeds_{shared_.io,
               shared_.messages,
               {[this](const chains::Refusal& refusal) { bans_.refused(refusal); },
                [this] { repairer_.check_within(kFlushRest); }}};
  AppChanges apps_{shared_,  kernel_, changes_,
                   applier_, feeds_,  [this] { repairer_.check_within(1s); }};
  EngineFollower engine_{shared_,
                         [this](const InventoryChange& change) { apps_.put_in_force(change); }};
  Servers servers_{shared_, kernel_, store_,
                   bans_,   feeds_,  [this](DaemonCounts& counts) { count(counts); }};
  ClockWatch clock_{[this] { repairer_.check(); }};
  Periodic clock_look_{shared_.io, kClockPeriod, [this] { clock_.look(); }};
  Periodic period_{shared_.io, kCheckPeriod, [this] { each_minute(); }};
};

}  // namespace

Result<void> run_daemon(const DaemonOptions& options) {
  auto only = only_one(options.state_dir);
  if (!only) return std::unexpected(only.error());
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  if (const auto allowed = kernel->generation(); !allowed) return std::unexpected(allowed.error());
  auto store = Store::open(options.state_dir);
  if (!store) return std::unexpected(store.error());
  auto changes = chains::RulesetWatch::open();
  if (!changes) return std::unexpected(changes.error());
  auto devices = chains::DeviceWatch::open();
  if (!devices) return std::unexpected(devices.error());
  Daemon daemon(options, {std::move(*only), std::move(*kernel), std::move(*store),
                          std::move(*changes), std::move(*devices)});
  return daemon.run();
}

}  // namespace fw
