// The daemon: owns the sockets and the timers, and calls what decides.
#include "fw/daemon/daemon.hpp"

#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "chains/compile_stand_in.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/netlink/flow_feed.hpp"
#include "chains/netlink/refusal_feed.hpp"
#include "chains/netlink/ruleset_watch.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/owner.hpp"
#include "fw/base/suggest.hpp"
#include "fw/daemon/control.hpp"
#include "fw/daemon/device_follower.hpp"
#include "fw/daemon/lock_queue.hpp"
#include "fw/daemon/metrics.hpp"
#include "fw/daemon/metrics_server.hpp"
#include "fw/daemon/offence_row.hpp"
#include "fw/daemon/offenders.hpp"
#include "fw/daemon/pace.hpp"
#include "fw/daemon/requests.hpp"
#include "fw/daemon/stand_in.hpp"
#include "fw/daemon/traffic_stats.hpp"
#include "fw/docker/discovery.hpp"
#include "fw/host/actor.hpp"
#include "fw/host/block.hpp"
#include "fw/host/change_apps.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/observed_generation.hpp"
#include "fw/host/panic.hpp"
#include "fw/host/status.hpp"
#include "fw/host/trial.hpp"
#include "fw/lists/file.hpp"
#include "fw/service/messages.hpp"
#include "fw/service/service_loop.hpp"
#include "fw/service/timers.hpp"
#include "fw/store/activity.hpp"

namespace fw {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using namespace std::chrono_literals;
using chains::FlowFeed;
using chains::RefusalFeed;
using chains::RulesetWatch;
using ErrorOf = boost::system::error_code;

constexpr auto kCheckDelay = 2ms;      // one check for many notifications
constexpr auto kOthersSettle = 500ms;  // and so of other programs' tables
constexpr auto kCheckPeriod = 60s;     // even when nobody notified
constexpr auto kFadePeriod = 10s;      // of who is busiest
constexpr auto kClockPeriod = 5s;      // between two looks whether the clock was set
constexpr std::size_t kNewsMax = 64;   // of an engine that wait for the lock
constexpr auto kFeedRest = 1ms;        // one wake-up for many flows
constexpr auto kGuardKeep = 1s;        // what a guard knows of the host's networks
constexpr auto kStandInStays = 60s;    // after the last time that the table was removed
constexpr auto kFlushRest = 200ms;     // one look at open connections for many that were forgotten

std::chrono::milliseconds steady_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}
Instant now_by_both() { return {steady_now(), wall_clock()}; }

/// Of a difference, for the activity log.
json::array first_lines(const chains::Description& difference) {
  json::array lines;
  for (const chains::DiffLine& line : difference.lines) {
    if (lines.size() == kActivityLinesMax) break;
    lines.emplace_back(fmt::format("{} {}: {}", line.sign, line.place, printable(line.text, 200)));
  }
  return lines;
}

/// What is opened for work beside the loop, and what was found then.
struct Opened {
  bool unheard = false;       ///< changes of others may not have been heard of meanwhile
  std::string store_trouble;  ///< why the store of blocks is not used
};

/// What a repair was asked for, and what came of it.
struct Repair : Opened {
  DesiredPolicy wanted;
  std::string by;
  std::chrono::steady_clock::time_point begin;
  Result<ApplyReport> report;
  std::optional<chains::Ruleset> stand_in;  ///< as it is to be from now on, where one stands
  Result<void> stood_in;
  std::chrono::microseconds took{0};
  Result<std::string> labels;  ///< label_trouble()
};

/// The same of an apply that others' apps asked for.
struct NewApps : Opened {
  DesiredPolicy wanted;
  std::chrono::steady_clock::time_point begin;
  Result<AppsChanged> changed;
  std::vector<chains::Device> devices;
  std::vector<chains::Bridge> bridges;
  std::vector<std::string> warnings;
};

/// Does nothing else follow from other addresses of its apps than that?
bool may_move(const DesiredPolicy& wanted) {
  return wanted.why == DesiredPolicy::Why::confirmed && !wanted.contested;
}

/// Did connection tracking forget a flow whose ends did not close it? That is somebody's
/// "conntrack -F", or a block of ours.
bool was_open(const chains::FlowEvent& event) {
  return event.kind == chains::FlowEvent::Kind::ended && event.flow.assured() && !event.flow.ending;
}

/// The lock of the one daemon of a state folder, for as long as it lives.
Result<File> only_one(const std::string& state_dir) {
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  const std::string path = state_dir + "/daemon.lock";
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(ErrorCode::io, "cannot open " + path, errno);
  give_to_owner(file.fd(), folder->fd());
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::usage, "another daemon keeps " + state_dir + " already");
  }
  return file;
}

}  // namespace

class Daemon final : public RequestContext {
 public:
  Daemon(const DaemonOptions& options, chains::Kernel kernel, Store store, RulesetWatch watch,
         chains::DeviceWatch devices, File only)
      : options_(options),
        only_(std::move(only)),
        kernel_(std::move(kernel)),
        store_(std::move(store)),
        watch_(std::move(watch)),
        devices_(
            io_, std::move(devices), [this] { check_later(0ms); },
            [this](const Error& error) {
              messages_.send(Level::error, to_string(error));  // a check a minute remains
            }),
        control_(io_, [this](const Peer& peer, const json::object& request, Answer answer) {
          serve(*this, peer, request, std::move(answer));
        }) {}
  ~Daemon() override {
    queue_.join();
    engine_.reset();  // its thread hands over to io_
    release_feeds();
    watch_fd_.release();
  }

  Result<void> run();

  // What requests ask of the daemon.
  const std::string& state_dir() const override { return options_.state_dir; }
  const Policy& policy() const override { return policy_; }
  const BlockGuard& guard() override;
  chains::Kernel& kernel() override { return kernel_; }
  Store& store() override { return store_; }
  const TrafficStats& traffic() const override { return *traffic_; }
  DaemonCounts counts() const override;
  void applied(std::chrono::microseconds took) override {
    ++counts_.applies;
    counts_.last_apply = took;
  }
  void with_lock(std::function<void()> work, std::function<void(const Error&)> busy) override;
  void record(const std::string& what, const Actor& actor, const std::string& summary,
              const json::object& details) override;

 private:
  void on_watch();
  bool read_changes();
  void stand_in();
  void stood_in(const Result<void>& done);
  void end_stand_in_after(std::chrono::milliseconds pause);
  void end_stand_in();
  chains::Ruleset rules_to_stand_in() const;
  void on_refusals();
  void on_flows();
  void rest_and_read_flows();
  void check_later(std::chrono::milliseconds delay);
  void check_for_others();
  void check();
  void check_again();
  void check_if_clock_was_set();
  void repair();
  void put_right();
  void make(Repair& repair);
  void made(Repair& repair);
  bool settle_trial();
  void rolled_back(const Result<std::optional<Overdue>>& done);
  void say_devices(bool early_drop, const chains::Description& lines);
  void say_clock_set(std::chrono::milliseconds step);
  void say_repaired(const ApplyReport& report, std::chrono::microseconds took, std::size_t lost);
  std::size_t lost_by_hand(const ApplyReport& report);
  void say_sum_of_repairs();
  void say_labels(const Result<std::string>& trouble);
  Result<Manager> manager(Opened& opened);
  void say_warnings(std::vector<std::string> warnings, const Opened& opened);
  void heard_again(std::uint32_t generation);
  void reload();
  void take_up(DesiredPolicy wanted);
  void follow_engine();
  void hear(const Result<docker::SharedNews>& told);
  void take_news();
  void take_inventory(const std::deque<docker::SharedNews>& news);
  void put_apps_in_force(const InventoryChange& change);
  bool move_apps(const InventoryChange& change);
  void apply_apps(NewApps& apps);
  void apps_in_force(NewApps& apps);
  void say_apps_changed(const AppsChanged& changed, std::chrono::steady_clock::time_point begin);
  void serve_metrics();
  void open_feeds();
  void release_feeds();
  void take_up_offences();
  void see(const chains::Refusal& refusal);
  void ban(const BanDecision& decision);

  DaemonOptions options_;
  File only_;
  const Actor self_ = actor_of({});
  ServiceLoop loop_;
  asio::io_context& io_ = loop_.io();
  Messages messages_{"cloudron-fwd"};
  chains::Kernel kernel_;
  Store store_;
  RulesetWatch watch_;
  DeviceFollower devices_;
  ControlServer control_;
  Policy policy_;
  bool apps_may_move_ = false;  ///< may_move() of what was last asked for
  Kept kept_{options_.state_dir};
  ObservedGeneration known_;                 ///< whether the kernel holds policy_
  std::size_t by_hand_ = 0;                  ///< rules in the admin's chains, when last seen
  std::optional<std::uint32_t> by_hand_at_;  ///< the generation of that
  std::optional<TrafficStats> traffic_;
  std::optional<Offenders> offenders_;
  std::optional<BlockGuard> guard_;               ///< of policy_ and the host
  std::chrono::milliseconds guard_read_until_{};  ///< then the host is asked again
  std::optional<RefusalFeed> refusals_;
  std::optional<FlowFeed> flows_;
  std::optional<ActivityLog> log_;
  std::optional<docker::Watch> engine_;
  Discovery engine_at_;                  ///< what it follows
  std::string engine_trouble_;           ///< why it cannot
  std::deque<docker::SharedNews> news_;  ///< that are not taken in yet
  bool news_wait_ = false;               ///< for the lock
  std::optional<MetricsServer> metrics_;
  std::optional<Endpoint> metrics_at_;  ///< where it listens
  DaemonCounts counts_;
  RepairPace pace_;
  std::string changed_by_;             ///< who touched our table since the last check
  std::string label_trouble_;          ///< as it was said last
  std::vector<std::string> warnings_;  ///< of the last apply
  bool check_due_ = false;
  bool others_due_ = false;  ///< a check, for another program changed its rules
  bool off_ = false;
  StandIn stand_in_;            ///< used beside the loop
  bool stand_in_wait_ = false;  ///< for the lock
  bool stands_in_ = false;
  WallTime began_ = read_clocks().began;  ///< when the clock was last looked at
  LockQueue queue_{io_, options_.state_dir};

  asio::posix::stream_descriptor watch_fd_{io_};
  asio::posix::stream_descriptor refusals_fd_{io_};
  asio::posix::stream_descriptor flows_fd_{io_};
  asio::steady_timer check_timer_{io_};
  asio::steady_timer others_timer_{io_};
  Periodic period_{io_, kCheckPeriod, [this] { check_again(); }};
  asio::steady_timer stand_in_timer_{io_};
  asio::steady_timer news_timer_{io_};
  asio::steady_timer trial_timer_{io_};
  Periodic fade_{io_, kFadePeriod, [this] { traffic_->fade(); }};
  Periodic clock_{io_, kClockPeriod, [this] { check_if_clock_was_set(); }};
  asio::steady_timer flow_timer_{io_};
};

Result<void> Daemon::run() {
  if (auto listening = control_.listen(options_.socket); !listening) return listening;
  reload();
  watch_fd_.assign(watch_.fd());
  on_watch();
  devices_.begin();
  fade_.start();
  clock_.start();
  period_.start();
  check_later(0ms);
  messages_.send(Level::info, "watching the firewall");
  loop_.run("watching", [this] { reload(); });
  return {};
}

/// Blocks end by the wall clock, the kernel's timers do not: a check starts them anew when it is
/// set.
void Daemon::check_if_clock_was_set() {
  const WallTime began = read_clocks().began;
  if (clock_was_set(std::exchange(began_, began), began)) check();
}

/// Clients are answered meanwhile: nothing that takes long runs in the loop (LockQueue::beside()).
void Daemon::with_lock(std::function<void()> work, std::function<void(const Error&)> busy) {
  check_if_clock_was_set();  // before a request, which would have to start all timers anew itself
  queue_.with_lock(std::move(work), std::move(busy));
}

// ---- Changes by others.

void Daemon::on_watch() {
  watch_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const ErrorOf& error) {
    if (error) return;
    // Without it a check each minute remains.
    if (read_changes()) on_watch();
  });
}

bool Daemon::read_changes() {
  const auto drained = watch_.drain();
  if (!drained || drained->lost) known_.forget();
  if (!drained) {
    messages_.send(Level::error, to_string(drained.error()));
    return false;
  }
  for (const auto& change : drained->changes) {
    known_.changed(change.generation, change.ours);
    if (!change.ours) check_for_others();
    if (!change.ours || chains::is_own_port(change.port)) continue;
    if (change.removed) stand_in();
    changed_by_ = fmt::format("{} (pid {})", printable(change.process), change.pid);
    check_later(kCheckDelay);
  }
  if (drained->lost) check_later(kCheckDelay);
  return true;
}

/// While the table is gone every port is open, and to make all of it again takes 10 ms and more. So
/// a few rules stand in for it first, which nobody else can remove: whoever removed the table once
/// may do it again. Under the lock, for that may have been a reset.
void Daemon::stand_in() {
  end_stand_in_after(kStandInStays);
  if (stands_in_ || std::exchange(stand_in_wait_, true)) return;
  with_lock(
      [this] {
        stand_in_wait_ = false;
        if (switched_off(options_.state_dir)) return;
        auto done = std::make_shared<Result<void>>();
        queue_.beside([this, done, rules = rules_to_stand_in()] { *done = stand_in_.put(rules); },
                      [this, done] { stood_in(*done); });
      },
      [this](const Error&) { stand_in_wait_ = false; });
}

chains::Ruleset Daemon::rules_to_stand_in() const {
  return chains::compile_stand_in(policy_, read_panic(options_.state_dir)
                                               ? chains::StandInOpen::nothing
                                               : chains::StandInOpen::open_ports);
}

void Daemon::stood_in(const Result<void>& done) {
  stands_in_ = stands_in_ || done;
  if (done) return;
  messages_.send(Level::error, "nothing stands in for the table: " + to_string(done.error()));
}

void Daemon::end_stand_in_after(std::chrono::milliseconds pause) {
  stand_in_timer_.expires_after(pause);
  stand_in_timer_.async_wait([this](const ErrorOf& error) {
    if (error) return;
    with_lock([this] { end_stand_in(); }, [this](const Error&) { end_stand_in_after(1s); });
  });
}

/// Under the lock. Nobody else can do it, so it is tried until it is done.
void Daemon::end_stand_in() {
  if (!stands_in_) return;
  auto done = std::make_shared<Result<void>>();
  queue_.beside([this, done] { *done = stand_in_.remove(); },
                [this, done] {
                  stands_in_ = !*done;
                  if (*done) return;
                  messages_.send(Level::error, to_string(done->error()));
                  end_stand_in_after(1s);
                });
}

void Daemon::check_later(std::chrono::milliseconds delay) {
  if (check_due_ && delay != 0ms) return;
  check_due_ = true;
  check_timer_.expires_after(delay);
  check_timer_.async_wait([this](const ErrorOf& error) {
    if (!error) check();
  });
}

/// Rules of other tables may write our bits of labels.
void Daemon::check_for_others() {
  if (std::exchange(others_due_, true)) return;
  others_timer_.expires_after(kOthersSettle);
  others_timer_.async_wait([this](const ErrorOf& error) {
    others_due_ = false;
    if (!error) check_later(0ms);
  });
}

void Daemon::check_again() {
  check_later(0ms);
  say_sum_of_repairs();
  serve_metrics();  // whoever had the port may be gone
  if (!flows_ || (policy_.nflog_group != 0 && !refusals_)) open_feeds();  // or the group
}

void Daemon::check() {
  check_due_ = false;
  with_lock([this] { repair(); },
            [this](const Error& error) {
              messages_.send(Level::warning, "the firewall is not checked: " + to_string(error));
              check_later(1s);
            });
}

/// Under the lock: so an apply of ours is over, and what it put in force is remembered.
void Daemon::repair() {
  if (settle_trial()) put_right();
}

void Daemon::put_right() {
  auto repair = std::make_shared<Repair>();
  repair->wanted = desired_policy(options_.state_dir, this_moment(), kept_);
  if (repair->wanted.policy != policy_) take_up(repair->wanted);
  apps_may_move_ = may_move(repair->wanted);
  off_ = switched_off(options_.state_dir);
  repair->by = std::exchange(changed_by_, {});
  if (off_) return end_stand_in();
  if (stands_in_) repair->stand_in = rules_to_stand_in();
  repair->begin = std::chrono::steady_clock::now();
  queue_.beside([this, repair] { make(*repair); }, [this, repair] { made(*repair); });
}

/// In a thread of its own.
void Daemon::make(Repair& repair) {
  auto with = manager(repair);
  repair.report = with ? with->apply(repair.wanted.policy, ApplyMode::commit, repair.wanted.unused,
                                     ListUse::remembered)
                       : Result<ApplyReport>(std::unexpected(with.error()));
  repair.took = std::chrono::round<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                              repair.begin);
  if (repair.stand_in) repair.stood_in = stand_in_.put(std::move(*repair.stand_in));
  repair.labels = with ? label_trouble(with->kernel(), repair.wanted.policy)
                       : Result<std::string>(std::unexpected(with.error()));
  if (!repair.report || repair.report->by_hand || by_hand_at_ == repair.report->generation) return;
  if (const auto observed = with->kernel().read())
    repair.report->by_hand = count_by_hand(observed->table());
}

void Daemon::made(Repair& repair) {
  if (repair.stand_in) stood_in(repair.stood_in);
  const auto& report = repair.report;
  say_labels(repair.labels);
  if (!report) {
    messages_.send(Level::error, "the firewall cannot be repaired: " + to_string(report.error()));
    return check_later(1s);
  }
  say_warnings(report->warnings, repair);
  const auto took = repair.took;
  if (repair.wanted.unused == chains::Unused::remove) known_.holds(report->generation);
  if (repair.unheard) heard_again(report->generation);
  const std::size_t lost = lost_by_hand(*report);
  const bool other_devices = devices_.hold_devices(report->devices);
  const bool other_bridges = devices_.hold_bridges(report->bridges);
  ++counts_.checks;
  counts_.last_check = took;
  if (report->clock_step != 0ms) say_clock_set(report->clock_step);
  if (report->repaired() == 0) return;
  if ((other_devices || other_bridges) && repair.by.empty()) {
    return say_devices(other_devices, report->difference.rules);
  }
  ++counts_.repairs;
  counts_.last_repair = took;
  // Whoever made the last change may not have been heard of when the check began.
  (void)read_changes();
  if (changed_by_.empty()) changed_by_ = repair.by;
  const auto tell = pace_.repaired(steady_now());
  if (tell != RepairPace::Tell::in_sum) say_repaired(*report, took, lost);
  if (!check_due_) changed_by_.clear();  // else somebody has changed it again since
  if (tell != RepairPace::Tell::and_alarm) return;
  messages_.send(
      Level::alert,
      fmt::format("the firewall had to be repaired {} times in a minute: {} keeps "
                  "changing it; further repairs are made at once, and told once a minute",
                  kRepairsAMinute, repair.by.empty() ? "somebody" : repair.by));
}

/// The kernel tells each watcher of each element that comes or goes, in a message of its own: of a
/// million, gigabytes. So it tells nothing to this one meanwhile.
Result<Manager> Daemon::manager(Opened& opened) {
  auto store = Store::open(options_.state_dir);
  if (!store) opened.store_trouble = to_string(store.error());
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  Manager manager(std::move(*kernel), options_.state_dir,
                  store ? std::optional(std::move(*store)) : std::nullopt);
  manager.around_large_commits({[this, &opened] {
                                  opened.unheard = true;
                                  watch_.pause();
                                },
                                [this] { watch_.resume(); }});
  return manager;
}

/// Was anything changed while nobody listened?
void Daemon::heard_again(std::uint32_t generation) {
  const auto now = kernel_.generation();
  if (now && *now == generation) return;
  known_.forget();
  check_later(0ms);
}

/// Rolls back what nobody confirmed in time; looks again when the time of a trial is over. False:
/// it is at that now, and goes on with put_right().
bool Daemon::settle_trial() {
  const auto pending = read_trial_record(options_.state_dir);
  if (!pending) return true;
  if (is_due(*pending, this_moment())) {
    auto done = std::make_shared<Result<std::optional<Overdue>>>();
    queue_.beside(
        [this, done] { *done = roll_back_if_due(options_.state_dir, this_moment(), wall_clock()); },
        [this, done] { rolled_back(*done); });
    return false;
  }
  trial_timer_.expires_after(time_left(*pending, this_moment()) + 1ms);
  trial_timer_.async_wait([this](const ErrorOf& error) {
    if (!error) check_later(0ms);
  });
  return true;
}

void Daemon::rolled_back(const Result<std::optional<Overdue>>& done) {
  if (!done) {
    messages_.send(Level::alert, "a trial is over and not rolled back: " + to_string(done.error()));
    check_later(1s);
  } else if (*done) {
    const std::string text =
        fmt::format("{} was not confirmed in time, and is rolled back", name_of((*done)->pending));
    messages_.send(Level::warning, text);
    record("rollback", self_, text, {});
  }
  put_right();
}

/// Nobody did wrong.
void Daemon::say_devices(bool early_drop, const chains::Description& lines) {
  if (!early_drop) {
    return messages_.send(
        Level::info,
        fmt::format("containers or bridges changed: {} of the rules are others", lines.all));
  }
  const std::vector<std::string> names = devices_.names();
  messages_.send(Level::info,
                 fmt::format("network devices changed: what is blocked is dropped early "
                             "at {}",
                             names.empty() ? "none" : fmt::to_string(fmt::join(names, ", "))));
}

void Daemon::say_clock_set(std::chrono::milliseconds step) {
  const auto whole = std::chrono::round<std::chrono::seconds>(std::chrono::abs(step));
  const std::string text =
      fmt::format("the clock is {} {} what it was: the kernel ends the blocks by it now",
                  to_string(whole), step > 0ms ? "ahead of" : "behind");
  messages_.send(Level::notice, text);
  record("clock", self_, text, {{"step_ms", step.count()}});
}

/// Rules that an admin added by hand, and that went with the table.
std::size_t Daemon::lost_by_hand(const ApplyReport& report) {
  if (!report.by_hand) return 0;
  by_hand_at_ = report.generation;
  const std::size_t before = std::exchange(by_hand_, *report.by_hand);
  return report.first && before > by_hand_ ? before - by_hand_ : 0;
}

void Daemon::say_repaired(const ApplyReport& report, std::chrono::microseconds took,
                          std::size_t lost) {
  const auto took_ms = std::chrono::round<std::chrono::milliseconds>(took).count();
  const std::string by = changed_by_.empty() ? "somebody" : changed_by_;
  const auto lines = report.repaired();
  const std::string what = report.first ? "removed the firewall"
                                        : fmt::format("changed {} {} of the firewall", lines,
                                                      lines == 1 ? "line" : "lines");
  std::string text = fmt::format("{} {}; repaired in {} ms", by, what, took_ms);
  if (lost != 0) {
    text += fmt::format(
        "; {} rule{} that had been added by hand {} lost with it: files in rules.d "
        "keep such rules",
        lost, lost == 1 ? "" : "s", lost == 1 ? "is" : "are");
  }
  messages_.send(
      Level::warning, text,
      {{"CHANGED_BY", by},
       {"RULE", report.difference.rules.empty() ? std::string()
                                                : report.difference.rules.lines.front().id}});
  record("repair", self_, text,
         {{"by", by},
          {"first_lines", first_lines(report.difference.rules)},
          {"took_ms", took_ms},
          {"lost_rules", lost}});
}

void Daemon::say_sum_of_repairs() {
  const auto more = pace_.take_sum();
  if (more == 0) return;
  const std::string text = fmt::format("{} more repairs since the last that was told", more);
  messages_.send(Level::warning, text, {});
  record("repair", self_, text, {{"repairs", more}});
}

/// Once when it begins, changes or ends.
/// Each once, until it is over.
void Daemon::say_warnings(std::vector<std::string> warnings, const Opened& opened) {
  if (!opened.store_trouble.empty()) {
    warnings.push_back("the kernel keeps the blocks that it has: " + opened.store_trouble);
  }
  for (const std::string& warning : warnings) {
    if (std::ranges::find(warnings_, warning) == warnings_.end())
      messages_.send(Level::warning, warning);
  }
  warnings_ = std::move(warnings);
}

void Daemon::say_labels(const Result<std::string>& trouble) {
  if (!trouble || *trouble == label_trouble_) return;
  label_trouble_ = *trouble;
  const bool over = trouble->empty();
  const std::string text =
      over ? "no other program's rule sets bits of our connection labels any more" : *trouble;
  messages_.send(over ? Level::notice : Level::warning, text);
  record("labels", self_, text, {});
}

void Daemon::record(const std::string& what, const Actor& actor, const std::string& summary,
                    const json::object& details) {
  const ActivityBounds bounds{policy_.activity.keep, policy_.activity.bytes};
  const Activity row{0, wall_clock(), what, actor, summary, json::serialize(details)};
  auto added = Result<std::int64_t>(std::unexpect);
  for (int attempt = 0; attempt < 2 && !added; ++attempt) {
    // Kept open, and opened anew when it is of no use: somebody may have moved it away.
    if (!log_) {
      auto log = ActivityLog::open(options_.state_dir);
      if (log) log_.emplace(std::move(*log));
      if (!log) added = std::unexpected(log.error());
    }
    if (log_) added = log_->add(row, bounds);
    if (!added) log_.reset();
  }
  if (added) return;
  messages_.send(Level::error,
                 "this is not in the activity log: " + summary + ": " + to_string(added.error()));
}

// ---- The policy, and what follows from it.

void Daemon::reload() { take_up(desired_policy(options_.state_dir, this_moment(), kept_)); }

/// What differs in its apps alone is a matter of every day: then nothing else begins anew.
void Daemon::take_up(DesiredPolicy wanted) {
  const bool apps_alone = traffic_ && static_cast<const PolicyBase&>(wanted.policy) == policy_;
  apps_may_move_ = may_move(wanted);
  policy_ = std::move(wanted.policy);
  guard_.reset();
  known_.forget();  // what the kernel held was another
  if (apps_alone) return traffic_->know(policy_.apps);
  traffic_.emplace(policy_);
  offenders_.emplace(policy_);
  take_up_offences();
  open_feeds();
  serve_metrics();
  follow_engine();
}

// ---- Apps of a container engine.

void Daemon::follow_engine() {
  if (engine_at_ == policy_.discovery) return;
  engine_.reset();
  news_.clear();
  engine_trouble_.clear();
  engine_at_ = policy_.discovery;
  if (engine_at_.from == Discover::none) return;
  engine_.emplace(engine_at_.docker, [this](Result<docker::SharedNews> told) {
    asio::post(io_, [this, told = std::move(told)] { hear(told); });
  });
}

void Daemon::hear(const Result<docker::SharedNews>& told) {
  const std::string trouble = told ? std::string() : to_string(told.error());
  if (!told && trouble == engine_trouble_) return;  // said before
  if (told && !engine_trouble_.empty()) {
    messages_.send(Level::info, "the container engine answers again");
  }
  engine_trouble_ = trouble;
  if (told) {
    if ((*told)->part.everything) news_.clear();
    news_.push_back(*told);
  } else {
    messages_.send(Level::warning, trouble + "; the apps that it had last stay in force");
  }
  // What waits for the lock for so long begins anew.
  if (news_.size() > kNewsMax) {
    news_.clear();
    if (engine_) engine_->again();
    return;
  }
  if (!std::exchange(news_wait_, true)) take_news();
}

/// In the order in which it was told.
void Daemon::take_news() {
  with_lock(
      [this] {
        news_wait_ = false;
        take_inventory(std::exchange(news_, {}));
      },
      [this](const Error& error) {
        messages_.send(Level::warning, "apps are not up to date: " + to_string(error));
        news_timer_.expires_after(1s);
        news_timer_.async_wait([this](const ErrorOf& cancelled) {
          if (!cancelled) take_news();
        });
      });
}

/// Under the lock: remembered, and in force.
void Daemon::take_inventory(const std::deque<docker::SharedNews>& news) {
  InventoryChange change;
  for (const docker::SharedNews& each : news) {
    // A command that asked the engine meanwhile may know more or less than that.
    if (!each->part.everything && kept_.inventory.is_others() && engine_) engine_->again();
    change.add(kept_.inventory.take(each->part, each->now));
  }
  if (!change.empty()) put_apps_in_force(change);
  if (const auto saved = news.empty() ? Result<void>() : kept_.inventory.save(); !saved) {
    messages_.send(Level::error, "apps are not remembered: " + to_string(saved.error()));
  }
  if (engine_trouble_.empty()) return;
  if (const auto noted = remember_trouble(options_.state_dir, engine_trouble_); !noted) {
    messages_.send(Level::error, to_string(noted.error()));
  }
}

/// Under the lock. That is no repair: nobody did wrong.
void Daemon::put_apps_in_force(const InventoryChange& change) {
  if (switched_off(options_.state_dir)) return;
  (void)read_changes();
  if (move_apps(change)) return;
  auto apps = std::make_shared<NewApps>();
  apps->wanted = desired_policy(options_.state_dir, this_moment(), kept_);
  apps_may_move_ = may_move(apps->wanted);
  if (apps->wanted.policy == policy_) return;
  apps->begin = std::chrono::steady_clock::now();
  const auto held = known_.generation();
  const auto others = held && apps->wanted.unused == chains::Unused::remove
                          ? other_apps(policy_, apps->wanted.policy)
                          : std::nullopt;
  if (others) {
    apps->changed = change_apps(kernel_, *held, *others);
    if (apps->changed) return apps_in_force(*apps);
  }
  queue_.beside([this, apps] { apply_apps(*apps); },
                [this, apps] {
                  say_warnings(std::move(apps->warnings), *apps);
                  if (apps->changed) devices_.hold_devices(std::move(apps->devices));
                  if (apps->changed) devices_.hold_bridges(std::move(apps->bridges));
                  apps_in_force(*apps);
                  if (apps->changed && apps->unheard) heard_again(apps->changed->generation);
                });
}

void Daemon::apps_in_force(NewApps& apps) {
  if (!apps.changed) {
    messages_.send(Level::error, "apps are not in force: " + to_string(apps.changed.error()));
    return check_later(1s);
  }
  const bool confirmed = apps.wanted.unused == chains::Unused::remove;
  take_up(std::move(apps.wanted));
  if (confirmed) known_.holds(apps.changed->generation);
  say_apps_changed(*apps.changed, apps.begin);
}

/// The most frequent change, with a look at nothing but those apps. False when it is another.
bool Daemon::move_apps(const InventoryChange& change) {
  const auto begin = std::chrono::steady_clock::now();
  const auto held = known_.generation();
  if (!held || !apps_may_move_ || kept_.last_good.is_others() ||
      read_trial_record(options_.state_dir)) {
    return false;
  }
  const std::optional<Policy>& policy = kept_.last_good.read();
  const Inventory* const inventory = kept_.inventory.read();
  if (!policy || inventory == nullptr) return false;
  auto moved = moved_apps(*policy, policy_, *inventory, change,
                          [this](Ip ip) { return traffic_->is_app(ip); });
  if (!moved) return false;
  const auto changed = change_apps(kernel_, *held, other_apps(policy_, *moved));
  if (!changed || !traffic_->know(moved->before, moved->after)) return false;
  for (App& app : moved->after) {
    *std::ranges::find(policy_.apps, app.name, &App::name) = std::move(app);
  }
  known_.holds(changed->generation);
  say_apps_changed(*changed, begin);
  return true;
}

void Daemon::say_apps_changed(const AppsChanged& changed,
                              std::chrono::steady_clock::time_point begin) {
  if (changed.lines.empty()) return;
  ++counts_.app_changes;
  const auto took =
      std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  const std::string text = fmt::format("containers changed: {} apps and {} addons are in force",
                                       policy_.apps.size(), policy_.addons.size());
  messages_.send(Level::info, text);
  record("apps", self_, text,
         {{"first_lines", first_lines(changed.lines)}, {"took_ms", took.count()}});
}

/// In a thread of its own.
void Daemon::apply_apps(NewApps& apps) {
  auto with = manager(apps);
  auto report = with ? with->apply(apps.wanted.policy, ApplyMode::commit, apps.wanted.unused,
                                   ListUse::remembered)
                     : Result<ApplyReport>(std::unexpected(with.error()));
  if (!report) {
    apps.changed = std::unexpected(report.error());
    return;
  }
  apps.devices = std::move(report->devices);
  apps.bridges = std::move(report->bridges);
  apps.warnings = std::move(report->warnings);
  apps.changed = AppsChanged{std::move(report->difference.rules), report->generation};
}

void Daemon::serve_metrics() {
  if (metrics_at_ == policy_.metrics) return;
  metrics_.reset();
  metrics_at_.reset();
  if (!policy_.metrics) return;
  metrics_.emplace(io_, [this]() -> Result<std::string> {
    const auto all = count(kernel_, store_, policy_, *traffic_, counts(), wall_clock());
    if (!all) return std::unexpected(all.error());
    return metrics_text(*all);
  });
  if (const auto listening = metrics_->listen(*policy_.metrics); !listening) {
    messages_.send(Level::error, "metrics are not served: " + to_string(listening.error()));
    return metrics_.reset();
  }
  metrics_at_ = policy_.metrics;
}

/// Blocks of the past count for repetition, across restarts too.
void Daemon::take_up_offences() {
  std::chrono::seconds longest{0};
  for (const Offender& rule : policy_.offenders) longest = std::max(longest, rule.max);
  if (longest.count() == 0) return;
  auto log = ActivityLog::open(options_.state_dir);
  if (!log) return;
  const auto rows = log->read(wall_clock() - 2 * longest, 0, kOffencesMax, "offender");
  if (!rows) return;
  for (const Activity& row : *rows) {
    const auto offence = read_offence(row.details);
    if (offence) offenders_->remember(offence->range, offence->times, offence->end);
  }
}

void Daemon::release_feeds() {
  if (refusals_fd_.is_open()) refusals_fd_.release();
  if (flows_fd_.is_open()) flows_fd_.release();
  flow_timer_.cancel();
  refusals_.reset();
  flows_.reset();
}

void Daemon::open_feeds() {
  release_feeds();
  if (policy_.nflog_group != 0) {
    auto feed = RefusalFeed::open(static_cast<std::uint16_t>(policy_.nflog_group));
    if (feed) {
      refusals_.emplace(std::move(*feed));
      refusals_fd_.assign(refusals_->fd());
      on_refusals();
    } else {
      messages_.send(Level::error, "refusals are not seen: " + to_string(feed.error()));
    }
  }
  chains::FlowFeedOptions options;
  for (const auto& port : all_open_ports(policy_)) options.ports.push_back(port.value);
  for (const Limit& limit : policy_.limits) {
    options.ports.insert(options.ports.end(), limit.ports.begin(), limit.ports.end());
  }
  auto feed = FlowFeed::open(options);
  if (!feed) {
    messages_.send(Level::error, "connections are not seen: " + to_string(feed.error()));
    return;
  }
  flows_.emplace(std::move(*feed));
  flows_fd_.assign(flows_->fd());
  on_flows();
}

// ---- Refusals and flows.

void Daemon::on_refusals() {
  refusals_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const ErrorOf& error) {
    if (error || !refusals_) return;
    const auto drained = refusals_->drain();
    if (!drained) {
      messages_.send(Level::error, "refusals are not seen: " + to_string(drained.error()));
      refusals_fd_.release();
      return refusals_.reset();  // opened anew within a minute
    }
    for (const chains::Refusal& refusal : *drained) see(refusal);
    on_refusals();
  });
}

void Daemon::see(const chains::Refusal& refusal) {
  traffic_->see(refusal);
  if (refusal.why == chains::Refusal::Why::limit) {
    const auto limit = std::ranges::find(policy_.limits, refusal.limit, &Limit::name);
    const std::string source = to_string(refusal.packet.source);
    messages_.send(Level::info,
                   fmt::format("{} refused by limit {}", source, printable(refusal.limit)),
                   {{"LIMIT", refusal.limit},
                    {"SOURCE", source},
                    {"PORT", std::to_string(refusal.packet.destination_port)},
                    {"RULE", limit == policy_.limits.end() ? "" : to_string(limit->where)}});
  }
  (void)guard();  // fresh, for the offenders
  if (const auto due = offenders_->see(refusal, now_by_both())) ban(*due);
}

const BlockGuard& Daemon::guard() {
  const auto now = steady_now();
  if (!guard_ || now > guard_read_until_) {
    guard_.emplace(policy_, read_own_network());
    guard_read_until_ = now + kGuardKeep;
    offenders_->know(*guard_);
  }
  return *guard_;
}

void Daemon::ban(const BanDecision& decision) {
  // Not in the kernel either when it cannot be stored: nobody could lift it. The limit still
  // refuses.
  const auto not_blocked = [this, decision](const Error& error) {
    offenders_->take_back(decision);
    messages_.send(Level::error, fmt::format("{} is not blocked: {}", to_string(decision.range),
                                             to_string(error)));
  };
  with_lock(
      [this, decision, not_blocked] {
        const WallTime now = wall_clock();
        const std::string why = to_string(decision.evidence);
        const Block block{decision.range, now + decision.duration, why, "offender", now};
        const auto outcome = fw::block(kernel_, store_, chains::Admission(policy_.label_bit),
                                       {block}, now, Cut::added);
        if (!outcome) return not_blocked(outcome.error());
        ++counts_.offenders;
        const std::string who = to_string(decision.range);
        const std::string text =
            fmt::format("{} blocked for {}: {}", who, to_string(decision.duration), why);
        messages_.send(Level::notice, text, {{"SOURCE", who}, {"RULE", to_string(decision.where)}});
        record("offender", self_, text, to_json(decision, now + decision.duration));
      },
      not_blocked);
}

void Daemon::on_flows() {
  flows_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const ErrorOf& error) {
    if (!error) rest_and_read_flows();
  });
}

void Daemon::rest_and_read_flows() {
  flow_timer_.expires_after(kFeedRest);
  flow_timer_.async_wait([this](const ErrorOf& error) {
    if (error || !flows_) return;
    const auto events = flows_->drain();
    if (!events) {
      messages_.send(Level::error, "connections are not seen: " + to_string(events.error()));
      flows_fd_.release();
      return flows_.reset();
    }
    bool forgotten = false;
    for (const chains::FlowEvent& event : *events) {
      traffic_->see(event);
      forgotten = forgotten || was_open(event);
    }
    if (forgotten) check_later(kFlushRest);  // which enters open connections anew
    on_flows();
  });
}

DaemonCounts Daemon::counts() const {
  DaemonCounts counts = counts_;
  counts.off = off_;
  counts.clients = control_.clients();
  if (metrics_) counts.metrics_clients = metrics_->clients();
  counts.messages_left_out = messages_.suppressed();
  if (flows_) {
    counts.flow_events = flows_->counts().messages;
    counts.flow_events_lost = flows_->counts().lost;
    counts.flows_recovered = flows_->counts().recovered;
  }
  if (refusals_) {
    counts.refusals = refusals_->counts().messages;
    counts.refusals_lost = refusals_->counts().lost;
    counts.malformed = refusals_->counts().malformed;
  }
  const auto watched = watch_.counts();
  counts.changes_seen = watched.changes;
  counts.changes_lost = watched.lost;
  counts.malformed += watched.malformed;
  return counts;
}

Result<void> run_daemon(const DaemonOptions& options) {
  auto only = only_one(options.state_dir);
  if (!only) return std::unexpected(only.error());
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  if (const auto allowed = kernel->generation(); !allowed) return std::unexpected(allowed.error());
  auto store = Store::open(options.state_dir);
  if (!store) return std::unexpected(store.error());
  auto watch = RulesetWatch::open();
  if (!watch) return std::unexpected(watch.error());
  auto devices = chains::DeviceWatch::open();
  if (!devices) return std::unexpected(devices.error());
  Daemon daemon(options, std::move(*kernel), std::move(*store), std::move(*watch),
                std::move(*devices), std::move(*only));
  return daemon.run();
}

}  // namespace fw
