// The program that has OpenSSL, for a command that needs it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "fw/base/result.hpp"

namespace fw::tls {

/// Becomes cloudron-fw-tls, which lies beside this program, with the same words. Returns only when
/// that cannot be.
std::unexpected<Error> become_program_with_tls();

}  // namespace fw::tls
