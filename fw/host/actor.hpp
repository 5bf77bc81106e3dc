// Who asked: the person behind a process, and the SSH session that the process belongs to.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "chains/netlink/conntrack.hpp"
#include "fw/store/activity.hpp"

namespace fw {

/// The connection that somebody's terminal came in by: an established one, not of loopback, to a
/// port that is listened on in this network namespace.
using Session = chains::OpenConnection;

/// The session of a process, by its name in /proc. In this order:
/// - the nearest ancestor that has such a connection: sshd, dropbear, and for what has a terminal
///   whatever serves it; needs root, but no environment, so sudo and env -i hide nothing;
/// - the nearest ancestor with a $SSH_CONNECTION that is still such a connection: without root, and
///   in windows of tmux that were opened since its last attachment;
/// - for what has a pseudoterminal and a login that the kernel knows (loginuid): the latest session
///   of the same login name; windows of tmux and screen that outlived their session. Whoever logged
///   in more than once is taken for the latest of them.
/// Not found: mosh, which has no connection; a session that outlived its own in screen where no
/// loginuid is set (containers, sshd without PAM); another network namespace's.
std::optional<Session> session_of(const std::string& process = "self");

/// Who a process with that session is. The user is the one who logged in (loginuid), else the one
/// who called sudo, else that of the process, else (it is hidden, or has ended) `unseen`. Names are
/// looked up as the host does it.
Actor actor_of(const std::optional<Session>& session, const std::string& process = "self",
               std::uint32_t unseen = UINT32_MAX);

}  // namespace fw
