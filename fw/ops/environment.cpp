// What every operation works in.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/environment.hpp"

#include <cerrno>
#include <utility>

#include <unistd.h>

#include "fw/ops/words.hpp"

namespace fw::ops {

struct Caller::Found {
  FindSession find_session;
  FindActor find_actor;
  std::optional<std::optional<Session>> session;
  std::optional<Actor> actor;
};

Caller::Caller(FindSession find_session, FindActor find_actor)
    : found_(
          std::make_shared<Found>(Found{std::move(find_session), std::move(find_actor), {}, {}})) {}

const std::optional<Session>& Caller::session() const {
  if (!found_->session) found_->session = found_->find_session();
  return *found_->session;
}

const Actor& Caller::actor() const {
  if (!found_->actor) found_->actor = found_->find_actor(session());
  return *found_->actor;
}

Caller this_process() {
  return Caller([] { return session_of(); },
                [](const std::optional<Session>& session) { return actor_of(session); });
}

void Environment::error(const Error& error) const { this->error(error_text(error)); }

bool has_state(const Environment& env) {
  return ::access(env.state_dir.c_str(), F_OK) == 0 || errno != ENOENT;
}

}  // namespace fw::ops
