// What the host is like: its devices, its clock, its open connections.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "chains/compile.hpp"
#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/devices.hpp"
#include "fw/base/result.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// The devices that get an early drop of blocked addresses; sorted, at most kDevicesMax. On others
/// the same packets are dropped a little later.
std::vector<chains::Device> early_drop_devices(
    std::vector<chains::Device> outside = chains::outside_devices());

/// The kernel's timer resolution.
std::chrono::milliseconds kernel_tick();

/// The TCP connections that sockets of this network namespace have open, loopback aside.
std::vector<chains::OpenConnection> open_connections();

/// The same, and never true for an address of this host's own devices; `among` may be empty.
std::function<bool(Ip)> except_local(std::function<bool(Ip)> among);

WallTime wall_clock();
/// The same in seconds since 1970.
std::int64_t wall_seconds();

/// Both clocks, read at one moment: a program may stand still between two readings for seconds.
/// `began` is what the wall clock would have shown when the clock of the kernel's timers
/// (CLOCK_MONOTONIC) began. It moves when the wall clock is set, and when the machine was
/// suspended; both leave the timers as they are.
struct Clocks {
  WallTime now;
  WallTime began;
};
Clocks read_clocks();
/// Was the wall clock set since? By less than kClockStepMin does not count.
inline constexpr std::chrono::milliseconds kClockStepMin{1000};
bool clock_was_set(WallTime began_then, WallTime began_now);

/// Makes packets between two ports of one bridge pass the forward hook (br_netfilter); says whether
/// they did not before. Fails with what is missing.
Result<bool> filter_bridged_packets();
/// Do they now? Errors: why not, with the remedy.
Result<void> bridged_packets_are_filtered();

}  // namespace fw
