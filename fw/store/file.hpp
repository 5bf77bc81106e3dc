// A SQLite database as a file of the state folder: made whole, opened, its failures explained.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "fw/base/result.hpp"

namespace fw {

struct DatabaseForm {
  const char* file;  ///< its name in the state folder
  const char* name;  ///< "the state database"
  /// SQL that makes version 1 of an empty database, version 2 of version 1 ...; the last is this
  /// program's. PRAGMA user_version tells which a database is.
  std::span<const char* const> versions;
  int application_id;       ///< PRAGMA application_id
  const char* synchronous;  ///< PRAGMA synchronous
  int log_pages_max;  ///< the log is copied into the database when it has this many: each process
                      ///< that opens the database alone reads the log first
  int busy_timeout_ms;
  const char* afresh;  ///< what follows when it is moved away: "then block again"
};

std::string path_in(const std::string& state_dir, const DatabaseForm& form);

/// Makes the folder (0700) and the database in it (0600) where they do not exist. Whoever sees the
/// database sees all of it.
Result<void> make_database(const std::string& state_dir, const DatabaseForm& form);

/// Opens one that was made, and brings one of an earlier version up to date, in one transaction.
/// Throws SQLite::Exception, or Unusable when it is of no use.
SQLite::Database open_database(const std::string& path, const DatabaseForm& form);

/// What a PRAGMA says, which is a number. Throws SQLite::Exception.
std::int64_t pragma(SQLite::Database& db, const char* name);

/// Why a database is of no use to this program.
class Unusable : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What an exception means to a person.
std::unexpected<Error> explained(const DatabaseForm& form, const std::string& path,
                                 const std::exception& exception);

/// Does `work`, and makes errors of the exceptions that the libraries throw.
template <class Work>
auto guarded(const DatabaseForm& form, const std::string& path, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& exception) {
    return explained(form, path, exception);
  }
}

}  // namespace fw
