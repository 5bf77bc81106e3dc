// What a mail server needs of the firewall: its ports and limits.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "fw/policy/policy.hpp"
#include "fw/policy/table.hpp"

namespace fw::mail {

/// [mail] of the policy file.
std::vector<Table> tables();

/// Adds the default limits of mail: of clients outside (L4), of apps (L4), of the relay (L6) and of
/// apps that receive (L7). They count whether [mail] is enabled or not.
Policy with_defaults(Policy policy);

/// `[mail] enabled = true` opens 25, 587, 993 and 4190 (P2); without it, they are on offer.
Policy contribute(Policy policy);

}  // namespace fw::mail
