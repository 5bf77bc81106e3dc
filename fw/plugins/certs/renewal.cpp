// When a certificate is to be renewed, and when somebody must be told.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/renewal.hpp"

#include <algorithm>
#include <cstdint>

namespace fw::certs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr seconds kShortLifetime = hours{24 * 10};
constexpr seconds kToldEvery = hours{24};

seconds pause_after(int failures, seconds lifetime) {
  const seconds longest = std::clamp<seconds>(lifetime / 24, hours{1}, hours{24});
  if (failures == 0) return longest;
  return std::min<seconds>(hours{1} * (1 << std::min(failures - 1, 5)), longest);
}

}  // namespace

sys_seconds next_renewal(const std::optional<Validity>& validity, const RenewalRecord& record,
                         double spread) {
  // What Let's Encrypt gives at first stands for one that is not there.
  const seconds lifetime = validity ? validity->lifetime() : hours{24 * 90};
  sys_seconds at{};
  if (validity) {
    const seconds left = lifetime < kShortLifetime ? lifetime / 2 : lifetime / 3;
    const auto earlier = seconds{static_cast<std::int64_t>(static_cast<double>(lifetime.count()) /
                                                           20 * std::clamp(spread, 0.0, 1.0))};
    at = validity->to - left - earlier;
  }
  if (record.last != sys_seconds{})
    at = std::max(at, record.last + pause_after(record.failures, lifetime));
  return at;
}

bool is_alarming(const Validity& validity, sys_seconds now) {
  return validity.to - now < validity.lifetime() / 6;
}

bool is_to_be_told(const RenewalRecord& record, sys_seconds now) {
  return record.failures > 0 && now - record.told >= kToldEvery;
}

}  // namespace fw::certs
