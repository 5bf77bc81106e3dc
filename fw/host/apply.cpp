// Makes the kernel hold a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/apply.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/transaction.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/forgotten.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/manifest.hpp"
#include "fw/host/membership.hpp"
#include "fw/host/panic.hpp"
#include "fw/host/set_contents.hpp"

namespace fw {
namespace {

chains::Admission admission_of(const Policy& policy) { return chains::Admission(policy.label_bit); }

/// Are flows that exist unknown to the table in the kernel: is there none, or with other labels?
bool adopts(const Policy& policy, const chains::Ruleset* table) {
  return noted_label(table) != policy.label_bit;
}

/// Is a table dormant that stays?
bool sleeps(const chains::Ruleset* table, const chains::Plan& plan) {
  return table != nullptr && (table->dormant || (table->bridge_dormant && plan.wants_bridge));
}

/// The host's open connections, without those whose far end is blocked.
std::vector<chains::OpenConnection> open_connections_except(
    const std::function<bool(Ip)>& blocked) {
  auto open = open_connections();
  std::erase_if(open, [&](const auto& connection) { return blocked(connection.remote); });
  return open;
}

/// Elements of the set of flows that are older than the rules.
chains::StreamElements adopted(std::vector<std::uint32_t> ids) {
  return {chains::StreamElements::Do::add, chains::kAdopted, chains::Field::ct_id, false,
          [ids = std::move(ids)](chains::ElementSink& sink) {
            for (const std::uint32_t id : ids) sink.put(id, id);
          }};
}

}  // namespace

bool keeps_apart(const Policy& policy) {
  return !policy.apps.empty() || !policy.addons.empty() || policy.discovery.from != Discover::none;
}

Result<Manager> Manager::open(const std::string& state_dir) {
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto store = Store::open(state_dir);
  if (!store) return std::unexpected(store.error());
  return Manager(std::move(*kernel), state_dir, std::move(*store));
}

Manager::Manager(chains::Kernel kernel, const std::string& state_dir, std::optional<Store> store)
    : state_dir_(state_dir),
      kernel_(std::move(kernel)),
      lists_(state_dir),
      store_(std::move(store)),
      observed_record_(state_dir) {}

Result<std::uint32_t> Manager::commit(const Policy& policy, const Target& target,
                                      chains::Unused unused, ApplyReport& report) {
  // The note tells of what is held, not of what is held besides it. It spares reading the kernel,
  // which costs more than to encode everything for the note.
  const bool noted = unused == chains::Unused::remove;
  const auto generation = kernel_.generation();
  if (!generation) return generation;
  std::optional<chains::Batch> creation = encode_creation(target);
  Digest wanted{};
  const WallTime began = read_clocks().began;
  if (noted) {
    wanted = fingerprint(target, *creation);
    if (observed_record_.is(wanted, *generation, began)) return generation;
  }
  const auto held_at = reconcile(policy, target, unused, std::move(creation), report);
  if (!held_at) return held_at;
  // Whoever is blocked lives in no admitted flow: not even in one that was adopted just now, or
  // that an apply which died behind its commit left alone.
  cut_blocked(policy, target, report);
  if (noted) observed_record_.remember(wanted, *held_at, began);
  return held_at;
}

Result<ApplyReport> Manager::apply(const Policy& policy, ApplyMode mode, chains::Unused unused,
                                   ListUse use) {
  ApplyReport report;
  const auto begin = std::chrono::steady_clock::now();
  const auto state = read_panic(state_dir_);
  auto target = compile_target(policy, lists_, store_or_null(),
                               state ? std::optional(state->panic) : std::nullopt, use, shrunk_);
  if (!target) return std::unexpected(target.error());
  report.lists = target->lists;
  report.devices = target->facts.devices;
  report.bridges = target->facts.bridges;
  if (mode == ApplyMode::dry_run) {
    auto proposal = propose(*target, unused, SIZE_MAX, report);
    if (!proposal) return std::unexpected(proposal.error());
    const auto refused = refused_by_guard(policy, *target, *proposal);
    if (refused) report.warnings.push_back("apply refuses this without --force: " + *refused);
    report.observed = std::move(proposal->observed);
    return report;
  }
  const auto held_at = commit(policy, *target, unused, report);
  if (!held_at) return std::unexpected(held_at.error());
  report.generation = *held_at;
  enter_forgotten(policy, *target, report);
  if (unused == chains::Unused::remove) {
    if (const auto saved = lists_.save(); !saved) {
      report.warnings.push_back("cannot store the lists: " + to_string(saved.error()));
    }
  }
  if (keeps_apart(policy)) {
    const auto filtered = filter_bridged_packets();
    if (!filtered) report.warnings.push_back(to_string(filtered.error()));
    report.bridges_filtered = filtered.value_or(false);
  }
  report.took =
      std::chrono::round<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  return report;
}

Result<std::function<bool(Ip)>> Manager::blocked_far(const Target& target) {
  const auto membership = std::make_shared<Membership>(target, lists_, store_or_null());
  if (const auto read = membership->read_blocked(); !read) return std::unexpected(read.error());
  return except_local([membership](Ip ip) { return membership->is_blocked(ip); });
}

void Manager::cut_blocked(const Policy& policy, const Target& target, ApplyReport& report) {
  std::optional<Result<std::function<bool(Ip)>>> blocked;  // read when the first flow asks
  const auto cut = chains::expel_flows(admission_of(policy), [&](Ip ip) {
    if (!blocked) blocked = blocked_far(target);
    return *blocked && (**blocked)(ip);
  });
  if (cut) report.flows_cut = *cut;
  const std::string problem = !cut                   ? to_string(cut.error())
                              : blocked && !*blocked ? to_string(blocked->error())
                                                     : std::string();
  if (problem.empty()) return;
  report.warnings.push_back("open connections of blocked addresses may live on: " + problem);
}

void Manager::enter_forgotten(const Policy& policy, const Target& target, ApplyReport& report) {
  const auto entered = enter_untracked(admission_of(policy), [&] { return blocked_far(target); });
  if (entered) report.connections_entered = *entered;
  if (!entered) {
    report.warnings.push_back("open connections may be interrupted: " + to_string(entered.error()));
  }
}

std::optional<std::string> Manager::refused_by_guard(const Policy& policy, const Target& target,
                                                     const Proposal& proposal) {
  if (!guard_ || proposal.transaction.empty()) return {};
  return why_locked_out(policy, target, proposal.observed.table(), guard_(), lists_,
                        store_or_null());
}

Result<std::function<bool(Ip)>> Manager::adopt_all_but_blocked(chains::Admission admission,
                                                               const Target& target,
                                                               chains::Transaction& transaction,
                                                               ApplyReport& report) {
  auto far = blocked_far(target);
  if (!far) return far;
  const auto entered = chains::enter_connections(admission, open_connections_except(*far));
  auto older = entered ? chains::older_flows(admission, *far)
                       : Result<chains::OlderFlows>(std::unexpected(entered.error()));
  const std::string may = "open connections may be interrupted: ";
  if (!older) report.warnings.push_back(may + to_string(older.error()));
  if (older && older->left_out > 0) {
    report.warnings.push_back(fmt::format("{}{} are more than the {} that can be adopted", may,
                                          older->left_out, kAdoptedMax));
  }
  if (older) report.flows_admitted = older->ids.size();
  const chains::Plan& plan = transaction.plan;
  if (!plan.make_table && !plan.makes_set(chains::kAdopted))
    transaction.updates.push_back(chains::FlushSet{chains::kAdopted});
  if (older) transaction.updates.push_back(adopted(std::move(older->ids)));
  return far;
}

Result<Manager::Proposal> Manager::propose(const Target& target, chains::Unused unused,
                                           std::size_t lines_max, ApplyReport& report) {
  auto observed = kernel_.read();
  if (!observed) return std::unexpected(observed.error());
  Proposal out{std::move(*observed), {}};
  const chains::Ruleset* const table = out.observed.table();
  chains::Plan plan = chains::diff(table, target.ruleset, unused);
  auto contents = plan_contents(out.observed, target, plan, lists_, store_or_null());
  if (!contents) return std::unexpected(contents.error());
  report.first = plan.make_table;
  report.by_hand = count_by_hand(table);
  if (!plan.empty())
    report.difference.rules = chains::describe(table, target.ruleset, unused, lines_max);
  report.difference.contents = std::move(contents->summary);
  report.clock_step = contents->clock_step;
  out.transaction = {out.observed.generation, std::move(plan), std::move(contents->updates)};
  report.changed = !out.transaction.empty();
  return out;
}

Result<std::uint32_t> Manager::reconcile(const Policy& policy, const Target& target,
                                         chains::Unused unused,
                                         std::optional<chains::Batch> creation,
                                         ApplyReport& report) {
  const chains::Admission admission = admission_of(policy);
  std::uint32_t held_at = 0;
  std::function<bool(Ip)> adopted_but;  // set when flows are adopted
  const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
    auto batch = std::exchange(creation, std::nullopt);  // good for one attempt
    auto proposal = propose(target, unused, kDescribedMax, report);
    if (!proposal) return std::unexpected(proposal.error());
    auto& [observed, transaction] = *proposal;
    held_at = observed.generation;
    if (transaction.empty()) return std::nullopt;
    if (const auto refused = refused_by_guard(policy, target, *proposal)) {
      return fail(ErrorCode::usage,
                  *refused + ": nothing was changed; use --force to apply anyway");
    }
    // The kernel makes no chain in the transaction that wakes its table.
    if (sleeps(observed.table(), transaction.plan) && !transaction.plan.add_chains.empty()) {
      chains::Transaction wake{held_at, {}, {}};
      wake.plan.wake_table = true;
      wake.plan.wants_bridge = transaction.plan.wants_bridge && !transaction.plan.make_bridge;
      return chains::Attempt{chains::encode(wake), true};
    }
    adopted_but = {};
    if (adopts(policy, observed.table())) {
      auto far = adopt_all_but_blocked(admission, target, transaction, report);
      if (!far) return std::unexpected(far.error());
      adopted_but = std::move(*far);
    }
    if (!batch || observed.table() != nullptr) return chains::Attempt{chains::encode(transaction)};
    batch->set_generation(transaction.generation);
    chains::encode(transaction.updates, *batch);
    return chains::Attempt{std::move(*batch)};
  };
  const auto made = chains::commit_with_retry(kernel_, attempt, around_large_);
  if (!made) return std::unexpected(made.error());
  // A connection that was made while the above was on its way is not tracked yet. Never one of
  // the blocked: until it was cut again, it would pass.
  if (*made && adopted_but) {
    (void)chains::enter_connections(admission, open_connections_except(adopted_but));
  }
  return made->value_or(held_at);
}

}  // namespace fw
