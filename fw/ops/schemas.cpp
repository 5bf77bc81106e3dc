// The JSON of the operations' requests and reports.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/schemas.hpp"

#include "fw/wire/instantiate.hpp"

namespace fw::wire {

CLOUDRON_FW_WIRE(ops::RequestHead)
CLOUDRON_FW_WIRE(ops::BlockRequest)
CLOUDRON_FW_WIRE(ops::UnblockRequest)
CLOUDRON_FW_WIRE(ops::AppliedRequest)
CLOUDRON_FW_WIRE(ops::NoFields)
CLOUDRON_FW_WIRE(ops::BlocksRequest)
CLOUDRON_FW_WIRE(ops::BlockedRequest)
CLOUDRON_FW_WIRE(ops::BlockedReport)
CLOUDRON_FW_WIRE(ops::CountsRequest)
CLOUDRON_FW_WIRE(ops::ActivityRequest)
CLOUDRON_FW_WIRE(ops::BlockReport)
CLOUDRON_FW_WIRE(ops::UnblockReport)
CLOUDRON_FW_WIRE(ops::BlockList)
CLOUDRON_FW_WIRE(ops::ActivityReport)
CLOUDRON_FW_WIRE(HttpRules)
CLOUDRON_FW_WIRE(ops::StatusReport)
CLOUDRON_FW_WIRE(ops::VerifyReport)
CLOUDRON_FW_WIRE(ops::CheckReport)
CLOUDRON_FW_WIRE(ops::PanicReport)
CLOUDRON_FW_WIRE(ops::ResetReport)
CLOUDRON_FW_WIRE(ops::ExplainReport)

// These hold what no JSON brings back.
CLOUDRON_FW_WIRE_REPORT(ops::SitesReport)
CLOUDRON_FW_WIRE_REPORT(ops::ApplyOutcome)
CLOUDRON_FW_WIRE_REPORT(ops::TrialEnded)

}  // namespace fw::wire
