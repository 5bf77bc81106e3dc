// The audit of the host: facts are read, then judged.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/host/plugin.hpp"

#include "fw/plugins/host/facts.hpp"
#include "fw/plugins/host/findings.hpp"

namespace fw::host_audit {

Result<AuditReport> audit(const AuditRequest& request) {
  const std::string& root = request.options.find("root")->second;
  const auto facts = read_facts(root);
  if (!facts) return std::unexpected(facts.error());
  return AuditReport{root == "/" ? "the host" : root,
                     findings(*facts, request.policy, request.now),
                     facts->unread.empty(),
                     {},
                     {}};
}

}  // namespace fw::host_audit
