// The block store: durable transactions around the arithmetic of change.hpp.
#include "fw/store/store.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/store/change.hpp"
#include "fw/store/database.hpp"

namespace fw {

struct Store::Impl {
  std::string path;
  SQLite::Database db;
};

namespace {

std::string remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "is in use by another process: try again";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "is damaged: move it away, then block anew";
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

/// What a SQLite exception means to a person.
std::unexpected<Error> explained(const std::string& path, const SQLite::Exception& exception) {
  return fail(ErrorCode::store, fmt::format("the state database {} {} ({})", path,
                                            remedy(exception.getErrorCode()), exception.what()));
}

/// Does `work`, and makes errors of the exceptions that the libraries throw.
template <class Work>
auto guarded(const std::string& path, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const SQLite::Exception& exception) {
    return explained(path, exception);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::store, fmt::format("the state database {} {}", path, exception.what()));
  }
}

std::unexpected<Error> cannot_make(const std::string& what) {
  return fail_errno(ErrorCode::store, fmt::format("cannot make {}", what), errno);
}

void remove_with_log(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
}

/// Makes the database under another name first, so that whoever sees it sees all of it.
Result<void> make_database(const std::string& path) {
  const std::string unfinished = path + ".new";
  remove_with_log(unfinished);
  const int fd = ::open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return cannot_make(path);
  ::close(fd);
  return guarded(path, [&]() -> Result<void> {
    make_tables(unfinished);
    // The log of a database that somebody moved away must not become part of this one.
    remove_with_log(path);
    if (::rename(unfinished.c_str(), path.c_str()) != 0) return cannot_make(path);
    return {};
  });
}

/// Makes the folder (0700) and the database in it (0600) where they do not exist.
Result<void> make_state(const std::string& folder, const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  std::error_code error;
  const auto parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return cannot_make(folder);
  const int lock = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0) return cannot_make(path);
  Result<void> made;
  if (::access(path.c_str(), F_OK) != 0) {  // another process can have been faster
    made = make_database(path);
    if (made) ::fsync(lock);
  }
  ::close(lock);
  return made;
}

/// The ranges that a change names.
struct Named {
  std::vector<IpRange> singles;   ///< blocks of one address in these can change
  std::vector<IpRange> networks;  ///< blocks of more addresses that these reach can change
};

/// The rows that a change can touch, and the regions that they come from.
struct Affected {
  std::vector<Block> rows;  ///< ascending
  std::vector<IpRange> regions;
};

Affected gather(SQLite::Database& db, const Named& named) {
  Affected affected;
  affected.rows = read_singles(db, merged(named.singles));
  affected.regions = read_regions(db, merged(named.networks));
  std::vector<Block> networks = read_networks(db, affected.regions);
  const auto middle = std::ssize(affected.rows);
  affected.rows.insert(affected.rows.end(), std::move_iterator(networks.begin()),
                       std::move_iterator(networks.end()));
  std::inplace_merge(affected.rows.begin(), affected.rows.begin() + middle, affected.rows.end(),
                     [](const Block& a, const Block& b) { return a.range < b.range; });
  return affected;
}

std::vector<IpRange> regions_of(const std::vector<Block>& rows) {
  std::vector<IpRange> ranges;
  for (const Block& row : rows) {
    if (!row.range.single()) ranges.push_back(row.range);
  }
  return merged(std::move(ranges));
}

/// One transaction: `make` says what becomes of the rows that the change can touch.
template <class Make>
Result<BlockChange> change(SQLite::Database& db, Named named, WallTime now, Make make) {
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  for (const IpRange& ended : read_ended(db, now))
    (ended.single() ? named.singles : named.networks).push_back(ended);
  const Affected affected = gather(db, named);
  std::vector<Block> active;
  for (const Block& row : affected.rows) {
    if (!row.until || *row.until > now) active.push_back(row);
  }
  RowChange rows = make(std::move(active));
  Meta meta = read_meta(db);
  rows.told.generation = meta.generation;
  if (rows.after == rows.before) return std::move(rows.told);

  meta.generation += 1;
  meta.blocks = meta.blocks - affected.rows.size() + rows.after.size();
  if (meta.blocks > kBlocksMax) {
    return fail(ErrorCode::usage,
                fmt::format("{} blocks are more than the {} that fit: block networks instead of "
                            "single addresses, or use a list",
                            meta.blocks, kBlocksMax));
  }
  replace_rows(db, affected.rows, rows.after);
  replace_regions(db, affected.regions, regions_of(rows.after));
  write_meta(db, meta);
  rows.told.delta = compare(blocked_at(rows.before, now), blocked_at(rows.after, now));
  rows.told.generation = meta.generation;
  transaction.commit();
  return std::move(rows.told);
}

}  // namespace

Result<Store> Store::open(const std::string& state_dir) {
  const std::string path = state_dir + "/state.db";
  return guarded(path, [&]() -> Result<Store> {
    if (auto made = make_state(state_dir, path); !made) return std::unexpected(made.error());
    return Store(std::make_unique<Impl>(path, open_database(path)));
  });
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store::Snapshot> Store::blocks(WallTime now) {
  return guarded(impl_->path, [&]() -> Result<Snapshot> {
    const SQLite::Transaction transaction(impl_->db);  // both from one state
    const Meta meta = read_meta(impl_->db);
    return Snapshot{read_active(impl_->db, now, std::min<std::size_t>(meta.blocks, kBlocksMax)),
                    meta.generation};
  });
}

Result<std::uint64_t> Store::generation() {
  return guarded(impl_->path,
                 [&]() -> Result<std::uint64_t> { return read_meta(impl_->db).generation; });
}

Result<BlockChange> Store::block(const std::vector<Block>& add, WallTime now) {
  return guarded(impl_->path, [&] {
    Named named;
    for (const Block& block : add)
      (block.range.single() ? named.singles : named.networks).push_back(block.range);
    return change(impl_->db, std::move(named), now,
                  [&](std::vector<Block> rows) { return add_blocks(std::move(rows), add, now); });
  });
}

Result<BlockChange> Store::unblock(const std::vector<IpRange>& ranges, WallTime now) {
  return guarded(impl_->path, [&] {
    return change(impl_->db, {ranges, ranges}, now,
                  [&](std::vector<Block> rows) { return remove_blocks(std::move(rows), ranges); });
  });
}

}  // namespace fw
