// From a policy to the table that enforces it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chains/admission.hpp"
#include "chains/bridges.hpp"
#include "chains/ruleset.hpp"
#include "fw/policy/policy.hpp"

namespace chains {

/// How many entries the kernel sets of the combined lists need, and which version they are.
struct ListVersion {
  std::string digest;            ///< of the content; "" when the policy names no such list
  std::uint32_t addresses4 = 0;  ///< single ones
  std::uint32_t networks4 = 0;
  std::uint32_t addresses6 = 0;
  std::uint32_t networks6 = 0;

  bool operator==(const ListVersion&) const = default;
};

/// A list that some [[open]] names.
struct SourceList {
  std::string name;
  std::string digest;  ///< of the content

  bool operator==(const SourceList&) const = default;
};

/// A network device with an early drop. A device that is recreated has another index.
struct Device {
  std::string name;
  std::uint32_t index = 0;
  std::string kind = {};  ///< "bridge", ...; "" where it does not matter

  bool operator==(const Device&) const = default;
  auto operator<=>(const Device&) const = default;
};

/// An emergency: new flows are dropped, but for SSH from trusted networks and from these.
struct Panic {
  std::vector<fw::Ip> callers;

  bool operator==(const Panic&) const = default;
};

/// What a ruleset depends on besides the policy.
struct HostFacts {
  std::vector<Device> devices;        ///< sorted
  std::vector<Bridge> bridges;        ///< sorted by name
  std::chrono::milliseconds tick{4};  ///< the kernel's timer resolution (1/HZ)
  ListVersion block_lists;
  ListVersion allow_lists;
  std::vector<SourceList> source_lists;  ///< by name
  std::uint64_t block_generation = 0;    ///< of the store
  std::optional<Panic> panic;
};

/// The same policy and host_facts always give the same value. Costs no system call.
Ruleset compile(const fw::Policy& policy, const HostFacts& facts);

/// Of that, alike, what is of apps alone: budgets, and elements of sets. Both are of one app each,
/// but for the ports that apps publish, which are not among it: so of a part of the apps it is that
/// part. Without host_facts, none of which changes it.
Ruleset compile_of_apps(const fw::Policy& policy);

/// Names that other parts of the program need.
inline constexpr const char* kListedSets[] = {"listed4", "listed_net4", "listed6", "listed_net6"};
inline constexpr const char* kAllowedSets[] = {"allowed4", "allowed_net4", "allowed6",
                                               "allowed_net6"};
inline constexpr const char* kBlockSets[] = {"block4", "block_net4", "block6", "block_net6"};
/// The set of a list that [[open]] names, and of such a set the list; "" of others.
std::string source_set(fw::Family family, std::string_view list);
std::string_view list_of_source_set(std::string_view set);
/// Map from IP protocol to what [[open]] says of it; there if it says something of one.
inline constexpr const char* kSomeProtocols = "some_protocols";
/// How copies of refused packets say why: the first two with a limit's name behind them.
inline constexpr const char* kLogReset = "cloudron-fw reset ";      // after the handshake
inline constexpr const char* kLogRefused = "cloudron-fw refused ";  // before, or of UDP
inline constexpr const char* kLogClosed = "cloudron-fw closed";
inline constexpr const char* kManifest = "manifest";
/// Key of "lists BLOCK-DIGEST ALLOW-DIGEST label FIRST-BIT".
inline constexpr std::uint32_t kManifestLists = 1;
std::string manifest_text(const HostFacts& facts, Admission admission);
/// Keys from here on: of "list NAME DIGEST".
inline constexpr std::uint32_t kManifestSources = 2;
std::string manifest_text(const SourceList& list);
/// The ids of flows that are older than the rules and go on.
inline constexpr const char* kAdopted = "adopted";
/// Counts flows that were decided on without a label: older ones, and those that lost it.
inline constexpr const char* kUnlabelled = "flows.unlabelled";
/// The generations of the store that the block sets went through, the greatest is what they hold,
/// and each a note of the clock that their timers were started by ("clock MILLISECONDS"). A
/// block adds its own and leaves the others: a transaction that removes nothing is over ten
/// milliseconds sooner, because the kernel waits for no grace period.
inline constexpr const char* kBlockVersions = "block_versions";

/// Is the limit an exact sliding window (else a token bucket)?
bool is_window(const fw::Limit& limit);

/// Sets in which the kernel tracks the sources of a limit: of a window the first slot, of a bucket
/// the meter, for both families.
std::vector<std::string> meter_sets(const fw::Limit& limit);

}  // namespace chains
