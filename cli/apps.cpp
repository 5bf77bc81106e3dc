// Apps of a container engine in the policy that a command works with.
#include "cli/apps.hpp"

#include <fmt/format.h>

#include "cli/spinner.hpp"
#include "fw/docker/discovery.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/host_facts.hpp"

namespace cli {

void put_in_apps(const Context& context, LoadedPolicy& loaded) {
  if (loaded.policy.discovery.from == fw::Discover::none) return;
  fw::KeptInventory kept(context.state_dir);
  const bool remembered = kept.read() != nullptr;
  bool answered = false;
  if (context.apps == Context::Apps::asked && !context.boot) {
    const Spinner waiting(context, "asking the container engine for its apps");
    auto asked = fw::docker::ask(loaded.policy.discovery.docker);
    if (asked) {
      kept.take({.everything = true}, std::move(*asked));
      answered = true;
    } else {
      loaded.engine_trouble = to_string(asked.error());
    }
  } else if (remembered) {
    loaded.engine_trouble = fw::read_engine_trouble(context.state_dir);
  }
  if (!loaded.engine_trouble.empty()) {
    loaded.warnings.push_back(
        {fw::Severity::warning,
         loaded.engine_trouble +
             (remembered ? "; the apps that it had last stay in force" : "; no app is known yet"),
         {}});
  }
  auto discovered = fw::with_remembered(std::move(loaded.policy), kept);
  if (answered) loaded.asked = std::move(kept);
  loaded.policy = std::move(discovered.policy);
  loaded.warnings.insert(loaded.warnings.end(), discovered.problems.begin(),
                         discovered.problems.end());
}

void remember_apps(const Context& context, LoadedPolicy& loaded) {
  fw::Result<void> done;
  if (loaded.asked) {
    done = loaded.asked->save();
  } else if (!loaded.engine_trouble.empty() && context.apps == Context::Apps::asked) {
    done = fw::remember_trouble(context.state_dir, loaded.engine_trouble);
  }
  if (!done) context.warn("the apps are not remembered: " + to_string(done.error()));
}

}  // namespace cli
