// When a table stands in for ours.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/stand_in_keeper.hpp"

#include <memory>
#include <utility>

#include "chains/compile_stand_in.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/panic.hpp"

namespace fw {
namespace {

constexpr std::chrono::seconds kStays{60};       // after the last time that the table was removed
constexpr std::chrono::seconds kEndTryAgain{1};  // where it could not be taken away

}  // namespace

StandInKeeper::StandInKeeper(Shared& shared, Table table)
    : shared_(shared), table_(std::move(table)), end_(shared.io, [this] {
        shared_.queue.with_lock([this] { end(); },
                                [this](const Error&) { end_.after(kEndTryAgain); });
      }) {}

void StandInKeeper::table_removed() {
  end_.after(kStays);
  if (stands_ || std::exchange(begins_, true)) return;
  // Under the lock, for that may have been a reset.
  shared_.queue.with_lock(
      [this] {
        begins_ = !switched_off(shared_.state_dir);
        if (begins_) put_first();
      },
      [this](const Error&) { begins_ = false; });
}

void StandInKeeper::put_first() {
  auto done = std::make_shared<Result<void>>();
  shared_.queue.beside([this, done, rules = compile()] { *done = table_.put(rules); },
                       [this, done] {
                         begins_ = false;
                         put_done(*done);
                       });
}

chains::Ruleset StandInKeeper::compile() const {
  return chains::compile_stand_in(shared_.in_force.policy(), read_panic(shared_.state_dir)
                                                                 ? chains::StandInOpen::nothing
                                                                 : chains::StandInOpen::open_ports);
}

std::optional<chains::Ruleset> StandInKeeper::rules() const {
  if (!stands_) return {};
  return compile();
}

void StandInKeeper::put_done(const Result<void>& done) {
  stands_ = stands_ || done;
  if (done) return;
  shared_.messages.send(Level::error,
                        "no stand-in for the removed table: " + to_string(done.error()));
}

/// Only the daemon can do it, so it is tried until it is done.
void StandInKeeper::end() {
  if (!stands_) return;
  auto done = std::make_shared<Result<void>>();
  shared_.queue.beside([this, done] { *done = table_.remove(); },
                       [this, done] {
                         stands_ = !*done;
                         if (*done) return;
                         shared_.messages.send(Level::error, to_string(done->error()));
                         end_.after(kEndTryAgain);
                       });
}

}  // namespace fw
