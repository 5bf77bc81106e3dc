// Finds what a server offers by asking it again and again, with less each time.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fw/plugins/tls/audit/connection.hpp"
#include "fw/plugins/tls/audit/grade.hpp"
#include "fw/plugins/tls/audit/hello.hpp"

namespace fw::tls {

/// How a server meets a name that no site has.
enum class UnknownName : std::uint8_t {
  refused,
  other_site,  ///< with another certificate
  this_site,   ///< with that of the name that is audited
  answered     ///< in TLS 1.3, which hides the certificate
};

struct ScanFacts {
  std::vector<VersionSuites> offered;  ///< ascending
  std::vector<std::uint16_t> groups;   ///< ascending
  std::optional<int> dh_bits;          ///< the shortest prime of DHE
  bool compression = false;
  bool renegotiates_safely = true;
  std::vector<std::vector<std::string>> chains;  ///< DER; of each kind of key, TLS 1.2 and before
  std::optional<UnknownName> unknown_name;
  bool complete = true;  ///< false: some answers did not come in time
};

/// An error when nobody answers, or what answers does not speak TLS.
Result<ScanFacts> scan(const Target& target, Clock::time_point deadline);

}  // namespace fw::tls
