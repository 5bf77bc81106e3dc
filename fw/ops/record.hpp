// Rows of the activity log, written by the operations that change something.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "fw/host/apply.hpp"
#include "fw/ops/environment.hpp"
#include "fw/policy/policy.hpp"

namespace fw::ops {

/// Notes what has just been done, and who asked for it. What goes wrong with that is a warning.
/// Without a policy that can be used nothing is forgotten on this occasion.
void record(const Environment& env, const Policy* policy, const std::string& what,
            const std::string& summary, const boost::json::object& details = {});

/// An apply, if it changed something; the daemon, which counts them, is informed. `policy`: as for
/// record(); `name` is its name.
void record_apply(const Environment& env, const Policy* policy, const std::string& name,
                  const ApplyReport& report);

}  // namespace fw::ops
