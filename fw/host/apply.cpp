// Makes the kernel hold a policy.
#include "fw/host/apply.hpp"

#include <algorithm>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "chains/netlink/bridges.hpp"
#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/rule_text.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/forgotten.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/panic.hpp"
#include "fw/host/set_contents.hpp"
#include "fw/host/uplink.hpp"

namespace fw {
namespace {

constexpr std::size_t kLargeCommit = 256u << 10;  // bytes: some 10,000 elements

chains::Admission admission_of(const Policy& policy) { return chains::Admission(policy.label_bit); }

/// Are flows that exist unknown to the table in the kernel: is there none, or with other labels?
bool adopts(const Policy& policy, const chains::Ruleset* table) {
  const chains::Set* manifest =
      table != nullptr ? chains::find(table->sets, chains::kManifest) : nullptr;
  return manifest == nullptr || manifest_label(manifest->elements) != policy.label_bit;
}

/// The host's open connections, without those whose far end is blocked.
std::vector<chains::OpenConnection> open_connections_except(
    const std::function<bool(Ip)>& blocked) {
  auto open = open_connections();
  std::erase_if(open, [&](const auto& connection) { return blocked(connection.remote); });
  return open;
}

chains::ListVersion version(const EffectiveLists& lists, ListAction action) {
  const bool block = action == ListAction::block;
  const bool named = std::any_of(lists.reports.begin(), lists.reports.end(),
                                 [action](const ListReport& r) { return r.action == action; });
  if (!named) return {};
  const ListSize& size = block ? lists.block_size : lists.allow_size;
  return {to_string(block ? lists.block : lists.allow), size.addresses4, size.networks4,
          size.addresses6, size.networks6};
}

std::vector<chains::SourceList> lists_of_openings(const Policy& policy,
                                                  const EffectiveLists& lists) {
  std::vector<chains::SourceList> out;
  for (const std::string& name : source_lists(policy))
    out.push_back({name, to_string(lists.content_of(name))});
  return out;
}

}  // namespace

std::size_t count_by_hand(const chains::Ruleset* table) {
  std::size_t count = 0;
  if (table == nullptr) return count;
  for (const char* name : chains::kAdminChains) {
    const chains::Chain* chain = chains::find(table->chains, name);
    if (chain != nullptr) count += chain->rules.size();
  }
  return count;
}

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

Result<Target> compile_target(const Policy& policy, Lists& lists, Store* store,
                              std::optional<chains::Panic> panic, ListUse use, Shrunk shrunk) {
  Target target;
  ListsAsk ask{spared_here(), shrunk};
  target.lists = use == ListUse::remembered ? lists.remembered(policy, std::move(ask))
                                            : lists.resolve(policy, std::move(ask));
  chains::HostFacts& facts = target.facts;
  facts.devices = early_drop_devices();
  facts.bridges = chains::read_bridges();
  facts.tick = kernel_tick();
  facts.panic = std::move(panic);
  facts.block_lists = version(target.lists, ListAction::block);
  facts.allow_lists = version(target.lists, ListAction::allow);
  facts.source_lists = lists_of_openings(policy, target.lists);
  if (store != nullptr) {
    auto generation = store->generation();
    if (!generation) return std::unexpected(generation.error());
    facts.block_generation = *generation;
  }
  target.ruleset = chains::compile(policy, facts);
  return target;
}

Result<std::uint32_t> Manager::commit(const Policy& policy, const Target& target,
                                      chains::Unused unused, ApplyReport& report) {
  // The note tells of what is held, not of what is held beside it. It spares reading the kernel,
  // which costs more than to encode everything for the note.
  const bool noted = unused == chains::Unused::remove;
  const auto generation = kernel_.generation();
  if (!generation) return generation;
  Anew anew = make_anew(target);
  Digest wanted{};
  const WallTime began = read_clocks().began;
  if (noted) {
    wanted = fingerprint(target, anew);
    if (observed_record_.is(wanted, *generation, began)) return generation;
  }
  const auto held_at = reconcile(policy, target, ApplyMode::commit, unused, report, &anew);
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
  auto target = compile_target(policy, lists_, store_ ? &*store_ : nullptr,
                               state ? std::optional(state->panic) : std::nullopt, use, shrunk_);
  if (!target) return std::unexpected(target.error());
  report.lists = target->lists;
  report.devices = target->facts.devices;
  report.bridges = target->facts.bridges;
  if (mode == ApplyMode::dry_run) {
    if (const auto done = reconcile(policy, *target, mode, unused, report, nullptr); !done) {
      return std::unexpected(done.error());
    }
    return report;
  }
  const auto held_at = commit(policy, *target, unused, report);
  if (!held_at) return std::unexpected(held_at.error());
  report.generation = *held_at;
  enter_forgotten(policy, *target, report);
  if (unused == chains::Unused::remove) {
    if (const auto saved = lists_.save(); !saved) {
      report.warnings.push_back("lists are not remembered: " + to_string(saved.error()));
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
  auto blocked = all_blocked(target, lists_, store_ ? &*store_ : nullptr);
  if (!blocked) return std::unexpected(blocked.error());
  return except_local(std::move(*blocked));
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
                                                     const chains::Ruleset* observed) {
  if (!guard_) return {};
  return why_locked_out(policy, target, observed, guard_(), lists_, store_ ? &*store_ : nullptr);
}

Result<void> Manager::wake(std::uint32_t generation) {
  chains::Plan plan;
  plan.wake_table = true;
  chains::Batch batch(generation);
  chains::encode(plan, batch);
  const auto done = kernel_.commit(batch);
  if (!done && done.error().code != ErrorCode::kernel_busy) return done;
  return {};
}

Result<void> Manager::send(chains::Batch& batch) {
  if (batch.size() <= kLargeCommit || !around_large_.begins) return kernel_.commit(batch);
  around_large_.begins();
  auto done = kernel_.commit(batch);
  around_large_.ends();
  return done;
}

Result<Manager::Adoption> Manager::adopt_all_but_blocked(chains::Admission admission,
                                                         const Target& target,
                                                         ApplyReport& report) {
  auto far = blocked_far(target);
  if (!far) return std::unexpected(far.error());
  Adoption out{std::move(*far), {}};
  const auto entered = chains::enter_connections(admission, open_connections_except(out.far));
  auto older = entered ? chains::older_flows(admission, out.far)
                       : Result<chains::OlderFlows>(std::unexpected(entered.error()));
  const std::string may = "open connections may be interrupted: ";
  if (!older) {
    report.warnings.push_back(may + to_string(older.error()));
    return out;
  }
  report.flows_admitted = older->ids.size();
  if (older->left_out > 0) {
    report.warnings.push_back(fmt::format("{}{} are more than the {} that can be adopted", may,
                                          older->left_out, kAdoptedMax));
  }
  out.ids = std::move(older->ids);
  return out;
}

Result<std::uint32_t> Manager::reconcile(const Policy& policy, const Target& target, ApplyMode mode,
                                         chains::Unused unused, ApplyReport& report, Anew* anew) {
  for (int attempt = 1;; ++attempt) {
    auto observed = kernel_.read();
    if (!observed) return std::unexpected(observed.error());
    if (observed->table() != nullptr || attempt > 1) anew = nullptr;
    const chains::Plan plan = anew != nullptr
                                  ? std::move(anew->plan)
                                  : chains::diff(observed->table(), target.ruleset, unused);
    auto contents = SetContents::plan(*observed, target, plan, lists_, store_);
    if (!contents) return std::unexpected(contents.error());
    report.first = plan.make_table;
    report.by_hand = count_by_hand(observed->table());
    report.changed = !plan.empty() || !contents->empty();
    if (!plan.empty()) {
      report.difference.rules =
          chains::describe(observed->table(), target.ruleset, unused,
                           mode == ApplyMode::dry_run ? SIZE_MAX : kDescribedMax);
    }
    report.difference.contents = contents->summary();
    report.clock_step = contents->clock_step();
    const std::uint32_t generation = observed->generation;
    const auto refused = report.changed ? refused_by_guard(policy, target, observed->table())
                                        : std::optional<std::string>();
    if (mode == ApplyMode::dry_run || !report.changed) {
      if (refused) report.warnings.push_back("without --force apply refuses this: " + *refused);
      if (mode == ApplyMode::dry_run) report.observed = std::move(*observed);
      return generation;
    }

    if (refused) {
      return fail(ErrorCode::usage,
                  *refused + ": nothing was changed; use --force to apply anyway");
    }
    if (plan.wake_table && !plan.add_chains.empty() && attempt < kApplyTries) {
      // The kernel makes no chain in the transaction that wakes its table.
      if (auto awake = wake(generation); !awake) return std::unexpected(awake.error());
      continue;
    }
    const chains::Admission admission = admission_of(policy);
    std::optional<Adoption> adoption;
    if (adopts(policy, observed->table())) {
      auto adopted = adopt_all_but_blocked(admission, target, report);
      if (!adopted) return std::unexpected(adopted.error());
      adoption = std::move(*adopted);
    }
    chains::Batch batch = anew != nullptr ? std::move(anew->batch) : chains::Batch(generation);
    batch.set_generation(generation);
    if (anew == nullptr) chains::encode(plan, batch);
    contents->encode(batch);
    if (adoption) {
      const bool fresh = plan.make_table || plan.makes_set(chains::kAdopted);
      if (!fresh) chains::encode_flush_set(chains::kAdopted, batch);
      chains::encode_adopted(adoption->ids, batch);
    }
    const auto committed = send(batch);
    if (!committed && committed.error().code == ErrorCode::kernel_busy && attempt < kApplyTries) {
      continue;
    }
    if (!committed) return std::unexpected(committed.error());
    // A connection that was made while the above was on its way is not tracked yet. Never one of
    // the blocked: until it was cut again, it would pass.
    if (adoption) {
      (void)chains::enter_connections(admission, open_connections_except(adoption->far));
    }
    return chains::next_generation(generation);
  }
}

}  // namespace fw
