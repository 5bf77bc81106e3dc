// The policy that an operation works with.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/policy.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "chains/rule_text.hpp"
#include "fw/docker/discovery.hpp"
#include "fw/effective/policy.hpp"
#include "fw/host/exposed.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/ops/words.hpp"
#include "fw/policy/rule_files.hpp"

namespace fw::ops {
namespace {

void add_exposed(const Environment& env, LoadedPolicy& loaded) {
  for (Problem& problem :
       exposed_files(loaded.policy, loaded.text ? loaded.name : "", env.state_dir)) {
    loaded.warnings.push_back(std::move(problem));
  }
}

/// Reads the files of rules.d next to the policy; false when they cannot be used, which is
/// reported.
bool put_in_rules(const Environment& env, const std::string& path, LoadedPolicy& loaded) {
  auto files = read_rule_files(absolute_path(path));
  if (!files) {
    env.error(files.error());
    return false;
  }
  const auto problems = chains::read_rules(*files).problems;
  for (const Problem& problem : problems) env.tell(problem);
  if (!problems.empty()) return false;
  if (files->empty()) return true;
  // Remembered with the policy, also with one that is built in.
  loaded.text = with_rules(loaded.text.value_or(std::string()), *files);
  loaded.policy.rules = std::move(*files);
  return true;
}

void put_in_apps(const Environment& env, const PolicySource& source, LoadedPolicy& loaded) {
  if (loaded.policy.discovery.from == Discover::none) return;
  KeptInventory kept(env.state_dir);
  const bool remembered = kept.read() != nullptr;
  bool answered = false;
  loaded.asks = source.ask_engine;
  if (source.ask_engine && !source.boot) {
    const auto working = env.working("reading the apps from the container engine");
    auto asked = docker::ask(loaded.policy.discovery.docker);
    if (asked) {
      kept.take({.everything = true}, std::move(*asked));
      answered = true;
    } else {
      loaded.engine_trouble = to_string(asked.error());
    }
  } else if (remembered) {
    loaded.engine_trouble = read_engine_trouble(env.state_dir);
  }
  if (!loaded.engine_trouble.empty()) {
    loaded.warnings.push_back(
        {Severity::warning,
         loaded.engine_trouble +
             (remembered ? "; the last known apps stay in force" : "; no apps are known yet"),
         {}});
  }
  auto discovered = with_remembered(std::move(loaded.policy), kept);
  if (answered) loaded.asked = std::move(kept);
  loaded.policy = std::move(discovered.policy);
  loaded.warnings.insert(loaded.warnings.end(), discovered.problems.begin(),
                         discovered.problems.end());
}

bool was_refused(const Environment& env, const LoadedPolicy& asked) {
  if (!asked.text) return false;
  const auto at = refused_at(env.state_dir, *asked.text, this_moment());
  if (!at) return false;
  env.error(fmt::format("{} was rolled back at {} and has not been applied since", asked.name,
                        time_text(*at)));
  return true;
}

}  // namespace

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(path, error);
  return error ? path : whole.string();
}

std::string policy_file(const PolicySource& source) {
  return absolute_path(source.path.empty() ? kDefaultPolicy : source.path);
}

std::optional<LoadedPolicy> load_policy(const Environment& env, const PolicySource& source) {
  LoadedPolicy loaded;
  const bool given = !source.path.empty();
  const std::string path = given ? source.path : kDefaultPolicy;
  if (!given && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    loaded.policy = default_policy();
    loaded.warnings = check(loaded.policy);
    add_exposed(env, loaded);
    loaded.name = "the built-in default policy";
    if (!put_in_rules(env, path, loaded)) return {};
    return loaded;
  }
  Parsed parsed = read_policy(path);
  if (!parsed.ok()) {
    for (const Problem& problem : parsed.problems) env.tell(problem);
    return {};
  }
  loaded.policy = std::move(parsed.policy);
  loaded.warnings = std::move(parsed.problems);
  loaded.text = std::move(parsed.text);
  loaded.name = path;
  add_exposed(env, loaded);
  if (!put_in_rules(env, path, loaded)) return {};
  put_in_apps(env, source, loaded);
  return loaded;
}

LoadedPolicy load_some_policy(const Environment& env, const PolicySource& source) {
  auto asked = load_policy(env, source);
  const bool lost = source.boot && asked && asked->policy.file.empty();
  const bool refused = source.boot && asked && was_refused(env, *asked);
  if (asked && !lost && !refused) return std::move(*asked);
  auto last_good = read_last_good(env.state_dir);
  if (lost && !last_good) return std::move(*asked);
  if (lost) env.error(fmt::format("{} no longer exists", kDefaultPolicy));
  LoadedPolicy loaded;
  loaded.stands_in = true;
  if (last_good) {
    loaded.policy = std::move(*last_good);
    loaded.name = "the last good policy";
  } else {
    loaded.policy = default_policy();
    loaded.name = "the built-in default policy";
  }
  loaded.warnings = check(loaded.policy);
  put_in_apps(env, source, loaded);
  env.error("the policy is unusable: " + loaded.name +
            (source.boot ? " is applied instead" : " is used instead"));
  return loaded;
}

Result<Manager> open_to_read(const Environment& env) {
  if (has_state(env)) return Manager::open(env.state_dir);
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  return Manager(std::move(*kernel), env.state_dir, std::nullopt);
}

void remember_apps(const Environment& env, LoadedPolicy& loaded) {
  Result<void> done;
  if (loaded.asked) {
    done = loaded.asked->save();
  } else if (!loaded.engine_trouble.empty() && loaded.asks) {
    done = remember_trouble(env.state_dir, loaded.engine_trouble);
  }
  if (!done) env.warn("cannot store the apps: " + to_string(done.error()));
}

}  // namespace fw::ops
