// What was found of a server, as rows of a table and as weaknesses. Pure.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fw/plugins/plugin.hpp"
#include "fw/plugins/tls/audit/certificate.hpp"
#include "fw/plugins/tls/audit/grade.hpp"
#include "fw/plugins/tls/audit/scan.hpp"
#include "fw/plugins/tls/audit/session.hpp"

namespace fw::tls {

/// What port 80 of the same address does.
enum class PlainHttp : std::uint8_t { not_asked, closed, redirects, elsewhere, answers };

/// A chain that the server sent, its own certificate first.
struct ChainFacts {
  std::vector<CertificateFacts> certificates;
  Roots::Verdict verdict;
};

struct HostFacts {
  std::string subject;  ///< "wiki.example.org:443"
  bool starttls = false;
  ScanFacts scan;
  std::vector<ChainFacts> chains;  ///< one at least
  std::optional<SessionFacts> session;
  std::string no_session;  ///< why there is none
  PlainHttp plain = PlainHttp::not_asked;
  std::vector<Header> wanted;  ///< of its answer, HSTS aside
};

GradeFacts grade_facts(const HostFacts& facts);

/// The table; without a grade for STARTTLS.
AuditSheet sheet_of(const HostFacts& facts, Rules rules, std::chrono::sys_seconds now);

/// In no order.
std::vector<Finding> findings_of(const HostFacts& facts, Rules rules, std::chrono::sys_seconds now);

}  // namespace fw::tls
