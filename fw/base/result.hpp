// Errors as values: every function that can fail returns Result<T>.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace fw {

/// A place in a file that a person wrote. line and column count from 1; 0 means "not known".
struct Location {
  std::string file;
  int line = 0;
  int column = 0;

  bool operator==(const Location&) const = default;
};

/// "policy.toml:14:9", "policy.toml:14", "policy.toml" or "".
std::string to_string(const Location& where);

enum class ErrorCode {
  usage,           ///< the caller's words cannot be meant
  policy,          ///< the policy file says something wrong
  list,            ///< a line of an address list is wrong
  io,              ///< a file could not be read or written
  permission,      ///< CAP_NET_ADMIN or root is needed
  unsupported,     ///< the kernel lacks what is needed
  kernel_refused,  ///< the kernel said no to a message of ours
  kernel_busy,     ///< another program changed the ruleset in the meantime; trying again can help
  store,           ///< the state database is unusable
  memory,          ///< there is not enough of it
  missing,         ///< what was asked for is not there (any more)
};

/// What went wrong, for a person: `what` is one sentence without a full stop that ends in the
/// remedy where there is one; `context` names the thing ("limit 'ssh'"), `where` the line that
/// asked for it, `sys_errno` the kernel's or libc's reason (0: none).
struct Error {
  ErrorCode code = ErrorCode::usage;
  std::string what;
  std::string context;
  Location where;
  int sys_errno = 0;

  bool operator==(const Error&) const = default;
};

/// "policy.toml:14:9: limit 'ssh': what: No such file or directory", leaving out what is unknown.
std::string to_string(const Error& error);

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string what, Location where = {}) {
  return std::unexpected(Error{code, std::move(what), {}, std::move(where), 0});
}

/// The same with errno's reason.
inline std::unexpected<Error> fail_errno(ErrorCode code, std::string what, int sys_errno) {
  return std::unexpected(Error{code, std::move(what), {}, {}, sys_errno});
}

}  // namespace fw
