// Apps of a container engine in the policy that a command works with.
#pragma once

#include "cli/context.hpp"

namespace cli {

/// Puts the apps that are remembered into a policy that discovers them; asks the engine for them
/// first where the command wants that (Context::apps) and it is no boot, before the engine is
/// there. What is not done of them is among the warnings.
void put_in_apps(const Context& context, LoadedPolicy& loaded);

/// With the lock held: what put_in_apps() learned is remembered.
void remember_apps(const Context& context, LoadedPolicy& loaded);

}  // namespace cli
