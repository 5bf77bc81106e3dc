// Makes the kernel hold a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "chains/admission.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/host/actor.hpp"
#include "fw/host/apply_report.hpp"
#include "fw/host/observed_record.hpp"
#include "fw/host/target.hpp"
#include "fw/lists/lists.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/store.hpp"

namespace fw {

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

  /// One transaction; tries again when another program changed the ruleset in the meantime.
  /// Afterwards flows with a newly blocked end lose their admission. What is kept unused is for a
  /// rollback, so the lists that the earlier policy needs stay remembered too.
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

  /// They are called on the thread of apply.
  void around_large_commits(chains::AroundLarge hooks) { around_large_ = std::move(hooks); }

  chains::Kernel& kernel() { return kernel_; }
  std::optional<Store>& store() { return store_; }

 private:
  /// What the kernel holds, and what would make it hold the target.
  struct Proposal {
    chains::Observed observed;
    chains::Transaction transaction;
  };
  /// Reads the kernel and reports how it differs: all lines, or kDescribedMax.
  Result<Proposal> propose(const Target& target, chains::Unused unused, std::size_t lines_max,
                           ApplyReport& report);

  /// The generation at which the kernel holds the target now; commits unless it does already.
  Result<std::uint32_t> commit(const Policy& policy, const Target& target, chains::Unused unused,
                               ApplyReport& report);
  /// The same where it is not known that it does. `creation`: what encode_creation() made, to be
  /// sent where there is nothing.
  Result<std::uint32_t> reconcile(const Policy& policy, const Target& target, chains::Unused unused,
                                  std::optional<chains::Batch> creation, ApplyReport& report);

  /// Why the guard refuses it; nothing when it does not.
  std::optional<std::string> refused_by_guard(const Policy& policy, const Target& target,
                                              const Proposal& proposal);
  /// True for what is blocked and is not this host itself.
  Result<std::function<bool(Ip)>> blocked_far(const Target& target);
  void cut_blocked(const Policy& policy, const Target& target, ApplyReport& report);
  /// Open connections that connection tracking has forgotten ("conntrack -F") are known again.
  void enter_forgotten(const Policy& policy, const Target& target, ApplyReport& report);
  /// Flows that are open when rules are made to which they are unknown: they go on, but for those
  /// whose far end is blocked, which the result holds for. Adds them to the transaction.
  Result<std::function<bool(Ip)>> adopt_all_but_blocked(chains::Admission admission,
                                                        const Target& target,
                                                        chains::Transaction& transaction,
                                                        ApplyReport& report);
  Store* store_or_null() { return store_ ? &*store_ : nullptr; }

  std::string state_dir_;
  chains::Kernel kernel_;
  Lists lists_;
  std::optional<Store> store_;
  ObservedRecord observed_record_;
  FindSession guard_;
  chains::AroundLarge around_large_;
  Shrunk shrunk_ = Shrunk::keep_last_good;
};

}  // namespace fw
