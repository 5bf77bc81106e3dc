// Every bound in the program, in one place, with its reason.
#pragma once

#include <chrono>
#include <cstdint>

namespace fw {

// The policy file.
inline constexpr std::size_t kPolicyBytesMax = 4u << 20;
inline constexpr std::size_t kNameLengthMax = 20;  // limit, list, app and addon names; they become
                                                   // parts of kernel object names
inline constexpr std::size_t kLimitsMax = 256;
inline constexpr std::size_t kListsMax = 64;
inline constexpr std::size_t kAppsMax = 4096;
inline constexpr std::size_t kAppAddressesMax = 64;
inline constexpr std::size_t kReachMax = 1u << 18;  // app address, addon address and port together
inline constexpr std::size_t kPolicyArrayMax = 65'535;   // entries of one array of the policy file
inline constexpr std::size_t kPolicyDottedMax = 16;      // names in one dotted key; see toml.cpp
inline constexpr std::size_t kPolicyProblemsMax = 1000;  // reported of one policy file

// Durations: 100 years, so that every end fits a 64-bit clock of nanoseconds.
inline constexpr std::chrono::seconds kDurationMax{36'500ll * 86'400};

// Limits. Up to kWindowCountMax a limit is an exact sliding window: one slot set for each unit of
// the count; above it, a token bucket.
inline constexpr std::uint64_t kWindowCountMax = 16;
inline constexpr std::uint64_t kRateCountMax = 1'000'000;
inline constexpr std::chrono::seconds kRatePeriodMax{86'400};
inline constexpr std::uint32_t kMeterSourcesMax = 65'535;  // sources that one limit tracks at once
inline constexpr std::uint64_t kOverflowFactor = 16;       // what sources beyond that share, in
                                                           // multiples of one source's rate

// Address lists and blocks.
inline constexpr std::size_t kListEntriesMax = 16u << 20;
inline constexpr std::size_t kListLineBytesMax = 4096;
inline constexpr std::size_t kListBadLinesShown = 20;
inline constexpr std::size_t kBlocksMax = 1u << 20;

inline constexpr std::size_t kBlockVersionsMax = 64;  // notes of them that the kernel keeps

// The host.
inline constexpr std::size_t kDevicesMax = 64;  // with an early drop; the kernel takes 256
inline constexpr std::size_t kOpenConnectionsMax = 1u << 20;
inline constexpr int kApplyTries = 20;  // when another program changes the ruleset meanwhile

static_assert(kWindowCountMax < kRateCountMax);
static_assert(kRatePeriodMax < std::chrono::hours{24 * 7},
              "a slot's inner limit is 1/week: a window must be shorter");

}  // namespace fw
