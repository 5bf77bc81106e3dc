// A SQLite database as a file of the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/file.hpp"

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/owner.hpp"

namespace fw {
namespace {

// A log that one big change made so many times longer is also given back to the file system.
constexpr int kLogFactorKept = 8;

std::string remedy(int code, const DatabaseForm& form) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "is in use by another process: try again";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fmt::format("is damaged: move it away, {}", form.afresh);
    case SQLITE_FULL:
      return "cannot grow: free some space on its file system";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_IOERR:
      return "cannot be read and written: run as root, and look at its file system and permissions";
    default:
      return "cannot be used";
  }
}

/// True for a link to nothing as well: what it leads to may only be away, and is not made anew.
bool is_there(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

std::unexpected<Error> cannot_make(const std::string& what) {
  return fail_errno(ErrorCode::store, fmt::format("cannot make {}", what), errno);
}

void remove_with_log(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
}

std::int64_t version_of(const DatabaseForm& form) { return std::ssize(form.versions); }

/// Brings a database up to date. A crash leaves the old version or the new one; of two processes
/// the second finds it done.
void migrate(SQLite::Database& db, const DatabaseForm& form) {
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  const std::int64_t before = pragma(db, "user_version");
  if (before >= version_of(form)) return;
  for (const char* const sql : form.versions.subspan(static_cast<std::size_t>(before))) {
    db.exec(sql);
  }
  db.exec(fmt::format("PRAGMA user_version = {}", version_of(form)));
  db.exec(fmt::format("PRAGMA application_id = {}", form.application_id));
  transaction.commit();
}

/// Fills an empty file; it is one whole file on disk when the call returns.
void make_tables(const std::string& path, const DatabaseForm& form) {
  SQLite::Database db(path, SQLite::OPEN_READWRITE);
  db.exec("PRAGMA journal_mode = WAL");
  migrate(db, form);
}

/// Makes the database under another name first, so that whoever sees it sees all of it.
Result<void> make_file(const std::string& path, const DatabaseForm& form) {
  const std::string unfinished = path + ".new";
  remove_with_log(unfinished);
  File file(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return cannot_make(path);
  // SQLite gives the files beside it to the owner of this one.
  give_to_owner(file.fd(), std::filesystem::path(path).parent_path());
  file.close();  // before SQLite opens it: closing one descriptor ends all locks of the process
  return guarded(form, path, [&]() -> Result<void> {
    make_tables(unfinished, form);
    // The log of a database that somebody moved away must not become part of this one.
    remove_with_log(path);
    if (::rename(unfinished.c_str(), path.c_str()) != 0) return cannot_make(path);
    return {};
  });
}

/// Called after each commit, with the length of the log. The change is durable already; what fails
/// here is done after the next one.
int copy_log(void* of, sqlite3* db, const char* schema, int pages) {
  const auto& form = *static_cast<const DatabaseForm*>(of);
  if (pages < form.log_pages_max) return SQLITE_OK;
  const bool shrink = pages > kLogFactorKept * form.log_pages_max;
  // Never wait for readers of an old state: they are not in the way of the next change.
  sqlite3_busy_timeout(db, 0);
  sqlite3_wal_checkpoint_v2(db, schema,
                            shrink ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
                            nullptr, nullptr);
  sqlite3_busy_timeout(db, form.busy_timeout_ms);
  return SQLITE_OK;
}

}  // namespace

std::int64_t pragma(SQLite::Database& db, const char* name) {
  return db.execAndGet(fmt::format("PRAGMA {}", name)).getInt64();
}

std::string path_in(const std::string& state_dir, const DatabaseForm& form) {
  return fmt::format("{}/{}", state_dir, form.file);
}

Result<void> make_database(const std::string& state_dir, const DatabaseForm& form) {
  const std::string path = path_in(state_dir, form);
  if (is_there(path)) return {};
  std::error_code error;
  const auto parent = std::filesystem::path(state_dir).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) return cannot_make(state_dir);
  const File lock(::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.fd(), LOCK_EX) != 0) return cannot_make(path);
  Result<void> made;
  if (!is_there(path)) {  // another process can have been faster
    made = make_file(path, form);
    if (made) ::fsync(lock.fd());
  }
  return made;
}

SQLite::Database open_database(const std::string& path, const DatabaseForm& form) {
  // SQLite would wait for a FIFO in the place of one of its files.
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    struct ::stat status {};
    if (::stat((path + suffix).c_str(), &status) != 0 || S_ISREG(status.st_mode)) continue;
    throw Unusable(fmt::format("cannot be used: {}{} is not a regular file", path, suffix));
  }
  SQLite::Database db(path, SQLite::OPEN_READWRITE, form.busy_timeout_ms);
  sqlite3* const handle = db.getHandle();
  if (sqlite3_db_readonly(handle, "main") == 1)
    throw SQLite::Exception("attempt to write a readonly database", SQLITE_READONLY);
  // Closing leaves the log alone: a process that lives for one command has no time to copy it.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_hook(handle, copy_log, const_cast<DatabaseForm*>(&form));
  db.exec(fmt::format("PRAGMA synchronous = {}", form.synchronous));
  if (pragma(db, "schema_version") == 0)
    throw Unusable(fmt::format("is empty: move it away, {}", form.afresh));
  if (pragma(db, "application_id") != form.application_id)
    throw Unusable("is not our database: use another state folder");
  if (pragma(db, "user_version") < version_of(form)) migrate(db, form);
  const std::int64_t version = pragma(db, "user_version");
  if (version > version_of(form)) {
    throw Unusable(
        fmt::format("was made by a newer version of this program (schema {}, known is {}): "
                    "install that version, or move the file away, {}",
                    version, version_of(form), form.afresh));
  }
  return db;
}

std::unexpected<Error> explained(const DatabaseForm& form, const std::string& path,
                                 const std::exception& exception) {
  const auto* const sqlite = dynamic_cast<const SQLite::Exception*>(&exception);
  return fail(ErrorCode::store,
              sqlite == nullptr
                  ? fmt::format("{} {} {}", form.name, path, exception.what())
                  : fmt::format("{} {} {} ({})", form.name, path,
                                remedy(sqlite->getErrorCode(), form), exception.what()));
}

}  // namespace fw
