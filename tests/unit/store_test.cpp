// The block store as the commands use it: what is kept, what is said, and what a crash leaves.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/store.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// A folder that is gone afterwards.
class StateFolder {
 public:
  StateFolder() {
    std::string name = (fs::temp_directory_path() / "store_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  ~StateFolder() { fs::remove_all(path_); }

  std::string state() const { return path_ / "lib" / "state"; }
  std::string database() const { return state() + "/state.db"; }

  Store open() const {
    auto store = Store::open(state());
    if (!store) throw std::runtime_error(to_string(store.error()));
    return std::move(*store);
  }

  std::string error() const {
    const auto store = Store::open(state());
    EXPECT_FALSE(store);
    if (store) return {};
    EXPECT_EQ(store.error().code, ErrorCode::store);
    return to_string(store.error());
  }

  /// Runs SQL behind the store's back; returns the first value of the first row.
  std::string sql(const std::string& text) const {
    sqlite3* handle = nullptr;
    EXPECT_EQ(sqlite3_open(database().c_str(), &handle), SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> db(handle, sqlite3_close);
    std::string first;
    const auto keep = [](void* to, int, char** values, char**) {
      auto& value = *static_cast<std::string*>(to);
      if (value.empty() && values[0] != nullptr) value = values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(handle, text.c_str(), keep, &first, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    return first;
  }

 private:
  fs::path path_;
};

WallTime at_ms(int ms) { return WallTime(milliseconds(ms)); }

IpRange range(const std::string& text) { return parse_ip_range(text).value(); }

Block block(const std::string& text, std::optional<int> until = {}, const std::string& reason = "",
            int since = 0) {
  Block result{range(text), {}, reason, "admin", at_ms(since)};
  if (until) result.until = at_ms(*until);
  return result;
}

std::vector<std::string> ranges_of(const std::vector<Block>& blocks) {
  std::vector<std::string> texts;
  for (const Block& b : blocks) texts.push_back(to_string(b.range));
  return texts;
}

std::vector<Block> all(Store& store, int now = 0) {
  return store.blocks(at_ms(now)).value().blocks;
}

using Texts = std::vector<std::string>;

TEST(Store, KeepsBlocksForTheNextProcess) {
  const StateFolder folder;
  const std::vector<Block> blocks{block("10.0.0.1", 5000, "scanner", 7),
                                  block("10.0.0.0/8"),
                                  block("255.255.255.255"),
                                  block("::", 90),
                                  block("2001:db8::/32", {}, "naïve 'quote'\n"),
                                  block("ffff::-ffff::1")};
  std::uint64_t start = 0;
  {
    Store store = folder.open();
    start = store.generation().value();
    EXPECT_EQ(store.block(blocks, at_ms(0)).value().generation - start, 1u);
  }
  Store store = folder.open();
  std::vector<Block> sorted = blocks;
  std::sort(sorted.begin(), sorted.end(),
            [](const Block& a, const Block& b) { return a.range < b.range; });
  const Store::Snapshot snapshot = store.blocks(at_ms(0)).value();
  EXPECT_EQ(snapshot.blocks, sorted);
  EXPECT_EQ(snapshot.generation - start, 1u);
  EXPECT_EQ(store.generation().value() - start, 1u);
}

TEST(Store, IsPrivate) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({block("10.0.0.1")}, at_ms(0)));
  const auto mode = [](const std::string& path) {
    struct ::stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  };
  EXPECT_EQ(mode(folder.state()), 0700u);
  for (const char* name : {"/state.db", "/state.db-wal", "/state.db-shm"})
    EXPECT_EQ(mode(folder.state() + name), 0600u) << name;
}

TEST(Store, ALaterEndWinsInEitherOrder) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({block("10.0.0.1", 100, "first", 1)}, at_ms(0)));
  const BlockChange longer = store.block({block("10.0.0.1", 200, "", 2)}, at_ms(0)).value();
  EXPECT_TRUE(longer.kept_longer.empty());
  EXPECT_EQ(longer.delta.removed.singles,
            (std::vector<BlockedPiece>{{range("10.0.0.1"), at_ms(100)}}));
  EXPECT_EQ(longer.delta.added.singles,
            (std::vector<BlockedPiece>{{range("10.0.0.1"), at_ms(200)}}));
  const BlockChange shorter = store.block({block("10.0.0.1", 150, "third", 3)}, at_ms(0)).value();
  EXPECT_TRUE(shorter.delta.empty());
  EXPECT_EQ(ranges_of(shorter.kept_longer), Texts{"10.0.0.1"});
  EXPECT_EQ(all(store), (std::vector<Block>{block("10.0.0.1", 200, "first", 1)}));

  ASSERT_TRUE(store.block({block("10.0.0.1")}, at_ms(0)));
  EXPECT_EQ(ranges_of(store.block({block("10.0.0.1", 900)}, at_ms(0)).value().kept_longer),
            Texts{"10.0.0.1"});
  EXPECT_EQ(all(store), (std::vector<Block>{block("10.0.0.1", {}, "first", 1)}));
}

TEST(Store, AChangeOfNothingIsNoChange) {
  const StateFolder folder;
  Store store = folder.open();
  const std::uint64_t start = store.generation().value();
  ASSERT_TRUE(store.block({block("10.0.0.1", 100, "why")}, at_ms(0)));
  EXPECT_EQ(store.block({block("10.0.0.1", 100, "why")}, at_ms(0)).value().generation - start, 1u);
  EXPECT_EQ(store.block({block("10.0.0.1", 50)}, at_ms(0)).value().generation - start, 1u);
  EXPECT_EQ(store.block({}, at_ms(0)).value().generation - start, 1u);
  EXPECT_EQ(store.block({block("10.0.0.2", 50)}, at_ms(50)).value().generation - start,
            1u);  // has ended
  EXPECT_EQ(store.unblock({range("10.0.0.2")}, at_ms(0)).value().generation - start, 1u);
  EXPECT_EQ(store.block({block("10.0.0.1", 100, "other")}, at_ms(0)).value().generation - start,
            2u);
}

TEST(Store, EndedBlocksAreGoneAtOnceAndForgottenAtTheNextChange) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({block("10.0.0.1", 100), block("10.1.0.0/16", 100),
                           block("10.2.0.0/16", 300), block("10.1.5.0/24", 300)},
                          at_ms(0)));
  EXPECT_EQ(ranges_of(all(store, 100)), (Texts{"10.1.5.0/24", "10.2.0.0/16"}));
  EXPECT_EQ(store.unblock({range("10.0.0.1")}, at_ms(100)).value().not_found,
            std::vector<IpRange>{range("10.0.0.1")});
  EXPECT_EQ(folder.sql("SELECT count(*) FROM blocks"), "4");
  const BlockChange change = store.block({block("10.9.9.9", 500)}, at_ms(200)).value();
  EXPECT_EQ(folder.sql("SELECT count(*) FROM blocks"), "3");
  EXPECT_EQ(folder.sql("SELECT count(*) FROM regions"), "2");
  EXPECT_EQ(folder.sql("SELECT blocks FROM meta"), "3");
  EXPECT_TRUE(change.delta.removed.empty());  // the kernel forgets by itself
  EXPECT_EQ(change.delta.added.singles.size(), 1u);
}

TEST(Store, ABlockAfterTheEndBeginsAnew) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({block("10.0.0.1", 100, "old", 0)}, at_ms(0)));
  const BlockChange change = store.block({block("10.0.0.1", 300, "", 200)}, at_ms(200)).value();
  EXPECT_TRUE(change.delta.removed.empty());
  EXPECT_EQ(all(store, 200), (std::vector<Block>{block("10.0.0.1", 300, "", 200)}));
}

TEST(Store, UnblockTakesWhatIsEqualOrInside) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({block("10.0.0.1"), block("10.0.0.0/24"), block("10.0.0.0/16"),
                           block("10.0.0.250-10.0.1.5"), block("10.1.0.1")},
                          at_ms(0)));
  const BlockChange change =
      store.unblock({range("10.0.0.0/24"), range("192.0.2.1")}, at_ms(0)).value();
  EXPECT_EQ(ranges_of(change.removed), (Texts{"10.0.0.0/24", "10.0.0.1"}));
  EXPECT_EQ(ranges_of(change.still_covers), (Texts{"10.0.0.0/16", "10.0.0.250-10.0.1.5"}));
  EXPECT_EQ(change.not_found, std::vector<IpRange>{range("192.0.2.1")});
  EXPECT_EQ(change.delta.removed.singles.size(), 1u);
  EXPECT_TRUE(change.delta.removed.networks.empty());  // the /16 covers it as before
  EXPECT_EQ(ranges_of(all(store)), (Texts{"10.0.0.0/16", "10.0.0.250-10.0.1.5", "10.1.0.1"}));
}

Block by(const std::string& origin, Block block) {
  block.origin = origin;
  return block;
}

TEST(Store, EachOriginsBlockLivesByItself) {
  const StateFolder folder;
  Store store = folder.open();
  for (const char* text : {"10.0.0.1", "10.1.0.0/16", "2001:db8::1", "2001:db8:1::/48"}) {
    SCOPED_TRACE(text);
    const auto pieces = [&](const BlockedNow& now) {
      return range(text).single() ? now.singles : now.networks;
    };
    const auto until = [&](int ms) { return std::vector<BlockedPiece>{{range(text), at_ms(ms)}}; };
    ASSERT_TRUE(store.block({by("a", block(text, 400))}, at_ms(0)));
    const BlockChange shorter = store.block({by("b", block(text, 100))}, at_ms(0)).value();
    EXPECT_TRUE(shorter.delta.empty()) << "the kernel's timer stays";
    EXPECT_TRUE(shorter.kept_longer.empty());
    EXPECT_EQ(shorter.longer_by_others, (std::vector<Block>{by("a", block(text, 400))}));

    const BlockChange lifted = store.unblock({range(text)}, at_ms(0), "a").value();
    EXPECT_EQ(lifted.removed, (std::vector<Block>{by("a", block(text, 400))}));
    EXPECT_EQ(lifted.still_covers, (std::vector<Block>{by("b", block(text, 100))}));
    EXPECT_EQ(pieces(lifted.delta.removed), until(400));
    EXPECT_EQ(pieces(lifted.delta.added), until(100)) << "until the other one ends";

    const BlockChange longer = store.block({by("c", block(text, 900))}, at_ms(0)).value();
    EXPECT_TRUE(longer.longer_by_others.empty());
    EXPECT_EQ(pieces(longer.delta.added), until(900));
    const BlockChange missing = store.unblock({range(text)}, at_ms(0), "a").value();
    EXPECT_EQ(missing.not_found, std::vector<IpRange>{range(text)});
    const BlockChange all_of_them = store.unblock({range(text)}, at_ms(0)).value();
    EXPECT_EQ(all_of_them.removed.size(), 2u) << "without an origin all of them go";
    EXPECT_EQ(pieces(all_of_them.delta.removed), until(900));
    EXPECT_TRUE(all_of_them.delta.added.empty());
  }
  EXPECT_TRUE(all(store).empty());
}

TEST(Store, OneOriginsEndIsNotTheOthers) {
  const StateFolder folder;
  Store store = folder.open();
  ASSERT_TRUE(store.block({by("a", block("10.0.0.1", 100)), by("b", block("10.0.0.1", 300)),
                           by("a", block("10.2.0.0/16"))},
                          at_ms(0)));
  EXPECT_EQ(store.origins(at_ms(0)).value(),
            (std::map<std::string, std::uint64_t>{{"a", 2}, {"b", 1}}));
  EXPECT_EQ(all(store, 200),
            (std::vector<Block>{by("b", block("10.0.0.1", 300)), by("a", block("10.2.0.0/16"))}));
  ASSERT_TRUE(store.block({by("c", block("10.3.0.0/16", 900))}, at_ms(200)));
  EXPECT_EQ(folder.sql("SELECT count(*) FROM blocks"), "3") << "the ended one alone is forgotten";
}

/// What the first version of the program wrote.
constexpr const char* kOldStore = R"sql(
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL,
                  blocks INTEGER NOT NULL) STRICT;
CREATE TABLE blocks(
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  first BLOB NOT NULL CHECK (length(first) = 16),
  last BLOB NOT NULL CHECK (length(last) = 16),
  until_ms INTEGER,
  reason TEXT NOT NULL,
  origin TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (family, first, last)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_end ON blocks(until_ms) WHERE until_ms IS NOT NULL;
CREATE INDEX networks ON blocks(family, first) WHERE first <> last;
CREATE TABLE regions(family INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL,
                     PRIMARY KEY (family, first)) STRICT, WITHOUT ROWID;
INSERT INTO blocks VALUES
  (4, x'0000000000000000000000000a000001', x'0000000000000000000000000a000001', 500, 'why',
   'fail2ban sshd', 7),
  (4, x'0000000000000000000000000a010000', x'0000000000000000000000000a01ffff', NULL, '', 'admin', 8);
INSERT INTO regions VALUES
  (4, x'0000000000000000000000000a010000', x'0000000000000000000000000a01ffff');
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4095),
               addresses(a) AS (SELECT CAST('address-' || printf('%08d', i) AS BLOB) FROM n)
INSERT INTO blocks SELECT 6, a, a, NULL, 'many', 'admin', 9 FROM addresses;
INSERT INTO meta VALUES (1, 1764090000, 4098);
PRAGMA user_version = 1;
PRAGMA application_id = 0x63667764;
COMMIT;
)sql";

void make_old_store(const StateFolder& folder) {
  fs::create_directories(folder.state());
  folder.sql(kOldStore);
}

TEST(Store, OfAnEarlierVersionIsBroughtUpToDate) {
  const StateFolder folder;
  make_old_store(folder);
  Store store = folder.open();
  EXPECT_EQ(folder.sql("PRAGMA user_version"), "2");
  EXPECT_EQ(store.generation().value(), 1764090000u) << "what the kernel holds is still known";
  const std::vector<Block> blocks = all(store);
  ASSERT_EQ(blocks.size(), 4098u);
  EXPECT_EQ(blocks[0], by("fail2ban sshd", block("10.0.0.1", 500, "why", 7)));
  EXPECT_EQ(blocks[1], block("10.1.0.0/16", {}, "", 8));
  EXPECT_EQ(blocks[4097].reason, "many");
  ASSERT_TRUE(store.block({block("10.0.0.1", 900), block("10.1.9.0/24", 900)}, at_ms(0)));
  EXPECT_EQ(all(store).size(), 4100u) << "an origin more, and a network in a region";
  EXPECT_EQ(folder.sql("SELECT count(*) FROM regions"), "1");
  EXPECT_EQ(folder.sql("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(all(store), all(*std::make_unique<Store>(folder.open())));
}

TEST(Store, UnblockOfAnAddressInABlockedNetworkSaysSo) {
  const StateFolder folder;
  Store store = folder.open();
  const std::uint64_t start = store.generation().value();
  ASSERT_TRUE(store.block({block("2001:db8::/32", 500)}, at_ms(0)));
  const BlockChange change = store.unblock({range("2001:db8::7")}, at_ms(0)).value();
  EXPECT_EQ(change.not_found, std::vector<IpRange>{range("2001:db8::7")});
  EXPECT_EQ(ranges_of(change.still_covers), Texts{"2001:db8::/32"});
  EXPECT_EQ(change.generation - start, 1u);
}

TEST(Store, TooManyBlocksChangeNothing) {
  const StateFolder folder;
  Store store = folder.open();
  const std::uint64_t start = store.generation().value();
  ASSERT_TRUE(store.block({block("10.0.0.1")}, at_ms(0)));
  folder.sql(fmt::format("UPDATE meta SET blocks = {}", kBlocksMax - 1));
  const auto refused = store.block({block("10.0.0.2"), block("10.0.0.3")}, at_ms(0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::usage);
  EXPECT_EQ(store.generation().value() - start, 1u);
  EXPECT_EQ(ranges_of(all(store)), Texts{"10.0.0.1"});
  EXPECT_TRUE(store.block({block("10.0.0.2")}, at_ms(0)));
}

TEST(Store, SaysWhatIsWrongWithItsFile) {
  {
    const StateFolder folder;
    folder.open();
    folder.sql("PRAGMA user_version = 99");
    EXPECT_NE(folder.error().find("newer version"), std::string::npos);
  }
  {
    const StateFolder folder;
    folder.open();
    fs::remove(folder.database() + "-wal");
    std::ofstream(folder.database()) << std::string(10'000, 'x');
    EXPECT_NE(folder.error().find("is damaged: move it away"), std::string::npos);
  }
  {
    const StateFolder folder;
    fs::create_directories(folder.state());
    folder.sql("CREATE TABLE theirs(a)");
    EXPECT_NE(folder.error().find("is not our database"), std::string::npos);
    EXPECT_EQ(folder.sql("PRAGMA journal_mode"), "delete");  // and is left as it was
  }
  {
    const StateFolder folder;
    folder.open();
    fs::remove(folder.database() + "-wal");
    fs::resize_file(folder.database(), 0);
    EXPECT_NE(folder.error().find("is empty: move it away"), std::string::npos);
  }
  {  // a link to a disk that is not there now is no reason to begin anew
    const StateFolder folder;
    fs::create_directories(folder.state());
    fs::create_symlink("/nonexistent/state.db", folder.database());
    EXPECT_NE(folder.error().find("cannot be read"), std::string::npos);
    EXPECT_TRUE(fs::is_symlink(folder.database()));
  }
  {
    const StateFolder folder;
    fs::create_directories(folder.database());
    EXPECT_FALSE(folder.error().empty());
  }
  {
    const StateFolder folder;
    fs::create_directories(fs::path(folder.state()).parent_path());
    std::ofstream(folder.state()) << "a file";
    EXPECT_NE(folder.error().find("Not a directory"), std::string::npos);
  }
}

TEST(Store, BeginsAnewWhenItsFileWasMovedAway) {
  const StateFolder folder;
  std::uint64_t first = 0;
  {
    Store store = folder.open();
    first = store.generation().value();
    ASSERT_TRUE(store.block({block("10.0.0.1"), block("10.0.0.0/8")}, at_ms(0)));
    ASSERT_TRUE(store.block({block("10.0.0.2")}, at_ms(0)));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  ASSERT_TRUE(fs::exists(folder.database() + "-wal"));
  fs::remove(folder.database());
  Store store = folder.open();
  EXPECT_TRUE(all(store).empty());
  EXPECT_GT(store.generation().value(), first + 2) << "taken for the earlier one's";
  EXPECT_EQ(folder.sql("PRAGMA integrity_check"), "ok");
}

TEST(Store, DamageInsideIsAnErrorNotACrash) {
  const StateFolder folder;
  {
    Store store = folder.open();
    std::vector<Block> many;
    for (int i = 0; i < 5000; ++i)
      many.push_back(block(fmt::format("10.0.{}.{}", i / 250, i % 250)));
    ASSERT_TRUE(store.block(many, at_ms(0)));
  }
  folder.sql("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto size = fs::file_size(folder.database());
  std::fstream file(folder.database(), std::ios::in | std::ios::out | std::ios::binary);
  for (std::uintmax_t page = 2; page < size / 4096; ++page) {
    file.seekp(static_cast<std::streamoff>(page * 4096));
    file << std::string(4096, '\xa5');
  }
  file.close();
  auto store = Store::open(folder.state());
  ASSERT_TRUE(store);
  const auto blocks = store->blocks(at_ms(0));
  ASSERT_FALSE(blocks);
  EXPECT_EQ(blocks.error().code, ErrorCode::store);
  EXPECT_NE(to_string(blocks.error()).find("is damaged"), std::string::npos);
  EXPECT_FALSE(store->block({block("10.0.3.3", 5)}, at_ms(0)));
}

// The store computes a delta from the rows that a change can touch. The oracle keeps all rows in a
// plain vector and compares everything before with everything after.

struct Oracle {
  std::vector<Block> rows;

  void forget(WallTime now) {
    std::erase_if(rows, [&](const Block& b) { return b.until && *b.until <= now; });
  }
  void add(const Block& wanted, WallTime now) {
    if (wanted.until && *wanted.until <= now) return;
    for (Block& row : rows) {
      if (!same_row(row, wanted)) continue;
      if (ends_before(wanted.until, row.until)) return;
      row.until = wanted.until;
      if (!wanted.reason.empty()) row.reason = wanted.reason;
      return;
    }
    rows.push_back(wanted);
    std::sort(rows.begin(), rows.end(), row_before);
  }
};

IpRange random_range(std::mt19937& random) {
  const Family family = random() % 4 == 0 ? Family::ipv6 : Family::ipv4;
  constexpr U128 kSpace = 400;
  const U128 base = random() % 4 == 0 ? address_max(family) - (kSpace - 1) : 0;
  const U128 first = random() % kSpace;
  const auto length = [&]() -> U128 {
    switch (random() % 5) {
      case 0:
        return random() % 40;
      case 1:
      case 2:
        return random() % 6;
      default:
        return 0;
    }
  };
  return {family, base + first, base + std::min(kSpace - 1, first + length())};
}

template <class AskedFor>
void expect_unblocked(const Oracle& before, const std::vector<IpRange>& asked,
                      const BlockChange& change, const Oracle& after, AskedFor asked_for) {
  std::vector<IpRange> not_found;
  std::vector<Block> removed, still;
  for (const IpRange& r : asked) {
    if (std::none_of(before.rows.begin(), before.rows.end(),
                     [&](const Block& b) { return asked_for(r, b); }))
      not_found.push_back(r);
  }
  for (const Block& b : before.rows) {
    if (std::find(after.rows.begin(), after.rows.end(), b) == after.rows.end())
      removed.push_back(b);
  }
  for (const Block& b : after.rows) {
    if (std::any_of(asked.begin(), asked.end(),
                    [&](const IpRange& r) { return r.overlaps(b.range); }))
      still.push_back(b);
  }
  EXPECT_EQ(change.not_found, not_found);
  EXPECT_EQ(change.removed, removed);
  EXPECT_EQ(change.still_covers, still);
}

/// The regions are what the blocked networks join to, no more and no less.
void expect_exact_regions(const StateFolder& folder, const Oracle& oracle) {
  std::size_t joined = 0;
  std::optional<IpRange> region;
  for (const Block& row : oracle.rows) {
    if (row.range.single()) continue;
    const bool joins = region && region->family == row.range.family &&
                       (row.range.first <= region->last || row.range.first - 1 == region->last);
    if (joins) {
      region->last = std::max(region->last, row.range.last);
    } else {
      region = row.range;
      ++joined;
    }
  }
  EXPECT_EQ(folder.sql("SELECT count(*) FROM regions"), std::to_string(joined));
  EXPECT_EQ(
      folder.sql("SELECT count(*) FROM blocks b WHERE first <> last AND 1 <> (SELECT count(*) "
                 "FROM regions r WHERE r.family = b.family AND r.first <= b.first AND "
                 "b.last <= r.last)"),
      "0");
}

void random_history(unsigned seed, int steps) {
  std::mt19937 random(seed);
  const StateFolder folder;
  std::optional<Store> store = folder.open();
  Oracle oracle;
  std::uint64_t generation = store->generation().value();
  WallTime now = at_ms(0);
  for (int step = 0; step < steps; ++step) {
    now += milliseconds(random() % 3 == 0 ? random() % 5 : 0);
    if (random() % 50 == 0) store = folder.open();
    Oracle before = oracle;
    before.forget(now);
    Oracle after = before;
    std::optional<BlockChange> change;
    if (random() % 3 != 0) {
      std::vector<Block> add;
      for (std::size_t n = 1 + random() % 3; n > 0; --n) {
        Block b{random_range(random),
                {},
                random() % 2 == 0 ? "" : "r" + std::to_string(random() % 3),
                random() % 2 == 0 ? "admin" : "program",
                now};
        if (random() % 6 != 0) b.until = now + milliseconds(random() % 60);
        add.push_back(b);
        after.add(b, now);
      }
      change = store->block(add, now).value();
    } else {
      std::vector<IpRange> asked;
      for (std::size_t n = 1 + random() % 3; n > 0; --n) asked.push_back(random_range(random));
      const std::string origin = random() % 2 == 0 ? "" : "program";
      const auto asked_for = [&](const IpRange& r, const Block& b) {
        return r.contains(b.range) && (origin.empty() || b.origin == origin);
      };
      for (const IpRange& r : asked)
        std::erase_if(after.rows, [&](const Block& b) { return asked_for(r, b); });
      change = store->unblock(asked, now, origin).value();
      expect_unblocked(before, asked, *change, after, asked_for);
    }
    const bool changed = after.rows != before.rows;
    generation += changed ? 1 : 0;
    if (changed) oracle = after;
    ASSERT_EQ(change->generation, generation);
    ASSERT_EQ(change->delta, compare(blocked_at(before.rows, now), blocked_at(after.rows, now)));
    ASSERT_EQ(store->blocks(now).value().blocks, after.rows);
    if (changed) expect_exact_regions(folder, oracle);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", step " << step;
  }
  EXPECT_EQ(folder.sql("SELECT blocks FROM meta"), std::to_string(oracle.rows.size()));
  EXPECT_EQ(folder.sql("PRAGMA integrity_check"), "ok");
}

TEST(Store, DeltasAreThoseOfAFullComparison) {
  for (unsigned seed = 1; seed <= 4; ++seed) random_history(seed, 150);
}

/// Runs `work` in a child process, which does not come back.
template <class Work>
::pid_t child(Work work) {
  const ::pid_t pid = ::fork();
  if (pid != 0) return pid;
  work();
  ::_exit(0);
}

TEST(Store, ProcessesTakeTurns) {
  const StateFolder folder;
  const auto second = static_cast<std::uint64_t>(std::time(nullptr));
  constexpr int kProcesses = 4;
  constexpr int kBlocksEach = 25;
  std::vector<::pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    children.push_back(child([&] {
      for (int i = 0; i < kBlocksEach; ++i) {
        auto store = Store::open(folder.state());  // the first ones make the tables, at once
        if (!store || !store->block({block(fmt::format("10.0.{}.{}", p, i))}, at_ms(0))) ::_exit(1);
      }
    }));
  }
  for (const ::pid_t pid : children) {
    int status = -1;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  Store store = folder.open();
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.state()), {}), 3);  // db, -wal, -shm
  EXPECT_EQ(all(store).size(), std::size_t{kProcesses * kBlocksEach});
  EXPECT_NEAR(static_cast<double>(store.generation().value() - second), kProcesses * kBlocksEach, 2)
      << "made within two seconds";
}

TEST(Store, KilledAtAnyMomentItKeepsWhatItAcknowledged) {
  const StateFolder folder;
  const std::uint64_t start = folder.open().generation().value();
  std::mt19937 random(50);
  std::uint32_t acknowledged = 0;
  for (int kill_number = 0; kill_number < 50; ++kill_number) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const ::pid_t pid = child([&] {
      ::close(pipe[0]);
      auto store = Store::open(folder.state());
      for (std::uint32_t i = acknowledged + 1;; ++i) {
        // Single addresses and networks in turn, so that every table is written.
        const U128 first = U128{i} << 8;
        const IpRange what{Family::ipv4, first, first | (i % 2 == 0 ? 0 : 127)};
        if (!store || !store->block({{what, {}, "crash", "admin", {}}}, at_ms(0))) ::_exit(1);
        if (::write(pipe[1], &i, sizeof i) != sizeof i) ::_exit(1);
      }
    });
    ::close(pipe[1]);
    std::uint32_t number = 0;
    const auto told = [&] { return ::read(pipe[0], &number, sizeof number) == sizeof number; };
    // Every other one is killed among its blocks, the rest as early as while they open the store.
    if (kill_number % 2 == 0 && told()) acknowledged = number;
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 8'000));
    ::kill(pid, SIGKILL);
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed";
    while (told()) acknowledged = number;
    ::close(pipe[0]);

    Store store = folder.open();
    ASSERT_EQ(folder.sql("PRAGMA integrity_check"), "ok");
    const std::vector<Block> blocks = all(store);
    // One more can be on disk than its process lived to say.
    ASSERT_TRUE(blocks.size() == acknowledged || blocks.size() == acknowledged + 1)
        << blocks.size() << " of " << acknowledged;
    ASSERT_EQ(store.generation().value() - start, blocks.size());
    for (std::uint32_t i = 0; i < acknowledged; ++i)
      ASSERT_EQ(blocks[i].range.first, U128{i + 1} << 8);
    acknowledged = static_cast<std::uint32_t>(blocks.size());
  }
  EXPECT_GE(acknowledged, 25u);
}

TEST(Store, KilledWhileItIsBroughtUpToDateItLosesNothing) {
  std::mt19937 random(2);
  for (int kill_number = 0; kill_number < 20; ++kill_number) {
    const StateFolder folder;
    make_old_store(folder);
    const ::pid_t pid = child([&] {
      const auto store = Store::open(folder.state());
      ::pause();
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ASSERT_EQ(folder.sql("SELECT count(*) FROM blocks"), "4098");
    ASSERT_EQ(folder.sql("SELECT count(*) FROM sqlite_master WHERE type = 'table'"), "3");
    Store store = folder.open();
    ASSERT_EQ(all(store).size(), 4098u);
    ASSERT_EQ(folder.sql("PRAGMA integrity_check"), "ok");
  }
}

}  // namespace
}  // namespace fw
