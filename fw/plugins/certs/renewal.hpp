// When a certificate is to be renewed, and when somebody must be told. Pure: the time is given.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace fw::certs {

using std::chrono::sys_seconds;

/// From when to when a certificate is valid.
struct Validity {
  sys_seconds from;
  sys_seconds to;

  std::chrono::seconds lifetime() const { return to - from; }
  bool operator==(const Validity&) const = default;
};

/// What came of earlier attempts to renew it.
struct RenewalRecord {
  int failures = 0;      ///< since it was last renewed; 0: the last attempt was good
  sys_seconds last{};    ///< the last attempt
  std::string reason{};  ///< the CA's, or certbot's, of the last failure
  sys_seconds told{};    ///< when somebody was last told

  bool operator==(const RenewalRecord&) const = default;
};

/// A certificate is due when a third of its lifetime is left, and of one that lives less than ten
/// days when half is: so there is time for several attempts. `spread`, 0 to 1, moves that forward
/// by up to a twentieth of the lifetime, so that many hosts do not ask at one moment. A failed
/// attempt is repeated after an hour, two, four ... up to a day, or a 24th of the lifetime where
/// that is less, and a good one that did not help after the longest of these pauses. Gives the time
/// of the next attempt; without a certificate that is long past.
sys_seconds next_renewal(const std::optional<Validity>& validity, const RenewalRecord& record,
                         double spread);

/// Less than a sixth of its lifetime is left: it should have been renewed.
bool is_alarming(const Validity& validity, sys_seconds now);

/// Is somebody to be told now? Of a failure at the first time, and then once a day.
bool is_to_be_told(const RenewalRecord& record, sys_seconds now);

}  // namespace fw::certs
