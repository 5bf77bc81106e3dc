// Rows of the activity log, written by the commands that change something.
#pragma once

#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "cli/context.hpp"
#include "fw/host/actor.hpp"

namespace cli {

/// The SSH session that this process belongs to; looked for once.
const std::optional<fw::Session>& own_session();

/// Notes what this process has just done, and who runs it. What goes wrong with that is a warning.
/// Without a policy that can be used nothing is forgotten on this occasion.
void record(const Context& context, const fw::Policy* policy, const std::string& what,
            const std::string& summary, const boost::json::object& details);

/// An apply that changed something.
void record_apply(const Context& context, const LoadedPolicy& loaded,
                  const fw::ApplyReport& report);

}  // namespace cli
