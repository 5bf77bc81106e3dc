// Open connections of the host that connection tracking has forgotten.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <functional>

#include "chains/admission.hpp"
#include "fw/base/address.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// Enters the host's open TCP connections that are not tracked, as admitted: "conntrack -F" forgot
/// them, and the next packet of one that was idle would be dropped as one of no connection. Only an
/// admitted connection ever became an open socket. Those for whose far end `blocked` holds are left
/// out; it is asked for only when something is to be entered. Returns how many were.
using FindBlocked = std::function<Result<std::function<bool(Ip)>>()>;
Result<std::size_t> enter_untracked(chains::Admission admission, const FindBlocked& blocked);

}  // namespace fw
