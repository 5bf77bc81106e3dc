// Makes the kernel hold a policy.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "chains/compile.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/host/actor.hpp"
#include "fw/host/observed_record.hpp"
#include "fw/lists/lists.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/store.hpp"

namespace fw {

/// What the kernel should hold, and what that was made from.
struct Target {
  chains::HostFacts facts;
  chains::Ruleset ruleset;
  EffectiveLists lists;
};

/// Lists as their files are now, or as they were last applied: who only repairs what was in force
/// takes no file that somebody is still writing.
enum class ListUse { read, remembered };

/// What the policy asks of the kernel now, in a panic or not; reads lists that changed. Without a
/// store there are no blocks.
Result<Target> compile_target(const Policy& policy, Lists& lists, Store* store,
                              std::optional<chains::Panic> panic, ListUse use = ListUse::read,
                              Shrunk shrunk = Shrunk::keep_last_good);

/// How a set that lists or blocks fill changes.
struct ContentChange {
  std::string what;       ///< "block lists", "allow lists", "blocks"
  std::size_t added = 0;  ///< elements
  std::size_t removed = 0;
  bool whole = false;  ///< everything is loaded anew
};

struct Difference {
  chains::Description rules;  ///< of a commit, kDescribedMax lines at most
  std::vector<ContentChange> contents;

  bool empty() const { return rules.empty() && contents.empty(); }
};
inline constexpr std::size_t kDescribedMax = 1000;

struct ApplyReport {
  bool changed = false;
  bool first = false;     ///< there was no table before
  Difference difference;  ///< what was (or, with dry_run, would be) changed
  EffectiveLists lists;
  /// Rules by hand that the admin's chains had before; nothing: the kernel was not read.
  std::optional<std::size_t> by_hand;
  chains::Observed observed;            ///< with dry_run: what the kernel holds
  std::uint32_t generation = 0;         ///< at which the kernel holds the policy, unless dry_run
  std::vector<chains::Device> devices;  ///< that have an early drop
  std::vector<chains::Bridge> bridges;
  std::size_t connections_entered = 0;  ///< open ones of the host that were not tracked any more
  std::size_t flows_admitted = 0;       ///< existing flows that go on undisturbed
  std::size_t flows_cut = 0;            ///< admitted flows whose ends are blocked now
  /// How far the wall clock was set since the kernel got its blocks; if so, it gets them anew.
  std::chrono::milliseconds clock_step{0};
  std::chrono::microseconds took{0};  ///< all of it
  bool bridges_filtered = false;      ///< packets within bridges pass the firewall from now on
  std::vector<std::string> warnings;

  /// How many lines or sets differed by more than the timers of blocks.
  std::size_t repaired() const {
    const std::size_t sets = difference.contents.size() - (clock_step.count() != 0 ? 1 : 0);
    return std::max(difference.rules.all, sets);
  }
};

/// Rules in the admin's chains of a table, which is null when it is not there.
std::size_t count_by_hand(const chains::Ruleset* table);

/// Does the policy keep apps apart? Then packets within bridges must pass the firewall.
bool keeps_apart(const Policy& policy);

enum class ApplyMode { commit, dry_run };

/// Everything that an apply works with; the state folder is locked by the caller.
class Manager {
 public:
  /// Opens the kernel and the store.
  static Result<Manager> open(const std::string& state_dir);
  /// `store` may be absent at boot, when it is unusable: blocks then stay as the kernel has them.
  Manager(chains::Kernel kernel, const std::string& state_dir, std::optional<Store> store);

  /// One transaction; tries again when another program changed the ruleset meanwhile. Afterwards
  /// flows with a newly blocked end lose their admission. What is kept unused is for a rollback, so
  /// the lists that the earlier policy needs stay remembered too.
  Result<ApplyReport> apply(const Policy& policy, ApplyMode mode,
                            chains::Unused unused = chains::Unused::remove,
                            ListUse lists = ListUse::read);

  /// From now on an apply that would change something is refused, and changes nothing, when no SSH
  /// port is open afterwards or the session, which is asked for then, could not come in again. A
  /// dry run warns of that.
  using FindSession = std::function<std::optional<Session>()>;
  void refuse_lockout(FindSession session) { guard_ = std::move(session); }

  /// From now on lists are taken that have lost most of their entries.
  void accept_lists() { shrunk_ = Shrunk::accept; }

  /// Called before and after a transaction of thousands of elements, on the thread of apply.
  struct AroundLarge {
    std::function<void()> begins;
    std::function<void()> ends;
  };
  void around_large_commits(AroundLarge hooks) { around_large_ = std::move(hooks); }

  chains::Kernel& kernel() { return kernel_; }
  std::optional<Store>& store() { return store_; }

 private:
  /// Why the guard refuses it; nothing when it does not.
  std::optional<std::string> refused_by_guard(const Policy& policy, const Target& target,
                                              const chains::Ruleset* observed);
  Result<void> wake(std::uint32_t generation);
  Result<void> send(chains::Batch& batch);
  /// True for what is blocked and is not this host itself.
  Result<std::function<bool(Ip)>> blocked_far(const Target& target);
  void cut_blocked(const Policy& policy, const Target& target, ApplyReport& report);
  /// Open connections that connection tracking has forgotten ("conntrack -F") are known again.
  void enter_forgotten(const Policy& policy, const Target& target, ApplyReport& report);
  /// Flows that are open when rules are made to which they are unknown: they go on.
  struct Adoption {
    std::function<bool(Ip)> far;  ///< blocked_far
    std::vector<std::uint32_t> ids;
  };
  Result<Adoption> adopt_all_but_blocked(chains::Admission admission, const Target& target,
                                         ApplyReport& report);

  /// Reads the kernel, and changes it unless it is a dry run. Returns the generation at which it
  /// holds the target; with a dry run, the one that was read. `anew` is used up where nothing is.
  Result<std::uint32_t> reconcile(const Policy& policy, const Target& target, ApplyMode mode,
                                  chains::Unused unused, ApplyReport& report, Anew* anew);
  /// Unless the kernel is known to hold it. Returns the generation at which it does.
  Result<std::uint32_t> commit(const Policy& policy, const Target& target, chains::Unused unused,
                               ApplyReport& report);

  std::string state_dir_;
  chains::Kernel kernel_;
  Lists lists_;
  std::optional<Store> store_;
  ObservedRecord observed_record_;
  FindSession guard_;
  AroundLarge around_large_;
  Shrunk shrunk_ = Shrunk::keep_last_good;
};

}  // namespace fw
