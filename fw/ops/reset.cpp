// Removes the firewall from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/reset.hpp"

#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "chains/netlink/kernel.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/remove.hpp"
#include "fw/host/trial.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/sites.hpp"

namespace fw::ops {
namespace {

/// Nobody waits for a confirmation any more, and nobody rolls back: everything is open.
void end_trial(const Environment& env) {
  const auto trial = read_trial_record(env.state_dir);
  if (!trial) return;
  const auto done = abandon_trial(env.state_dir, *trial, wall_clock());
  if (!done) return env.warn("cannot end the trial: " + to_string(done.error()));
  if (const auto sites = settle_sites(env); !sites.text.empty()) env.warn(sites.text);
}

/// The daemon takes it away once it has heard of the reset. No other program can.
Result<void> wait_for_stand_in_to_go(chains::Kernel& kernel) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (kernel.has(chains::Table::stand_in).value_or(false)) {
    if (std::chrono::steady_clock::now() >= end) {
      return fail(ErrorCode::kernel_refused,
                  fmt::format("{} is still in force, and only the daemon can remove it, but does "
                              "not answer: end it (sudo systemctl kill --signal=SIGKILL "
                              "cloudron-fwd)",
                              name_of(chains::Table::stand_in)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return {};
}

Result<ResetReport> remove_ours(const Environment& env, chains::Kernel& kernel,
                                const std::function<Result<void>()>& agree) {
  const auto observed = kernel.read();
  if (!observed) return std::unexpected(observed.error());
  const auto bridge = kernel.has(chains::Table::bridge);
  if (observed->table() == nullptr && !bridge.value_or(false)) return ResetReport{};
  if (auto agreed = agree(); !agreed) return std::unexpected(agreed.error());
  // Not before the question: nobody should have to wait for the answer.
  const auto lock = StateLock::take(env.state_dir);
  if (!lock) env.warn("tables removed without the lock: " + to_string(lock.error()));
  if (lock) {
    const auto off = switch_off(env.state_dir);
    if (!off) env.warn("the daemon may restore them: " + to_string(off.error()));
  }
  end_trial(env);
  const auto removed = remove_tables(kernel);
  if (!removed) return std::unexpected(removed.error());
  if (removed->empty()) return ResetReport{};
  ResetReport report{true, {}};
  for (const chains::Table table : *removed) {
    report.text += (report.text.empty() ? "" : ", ") + name_of(table);
  }
  report.text += " removed";
  record(env, nullptr, "reset", report.text);
  return report;
}

}  // namespace

Result<ResetReport> reset(const Environment& env, const std::function<Result<void>()>& agree) {
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto report = remove_ours(env, *kernel, agree);
  if (!report) return report;
  if (auto gone = wait_for_stand_in_to_go(*kernel); !gone) return std::unexpected(gone.error());
  return report;
}

}  // namespace fw::ops
