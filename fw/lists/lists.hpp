// The address lists that a policy names: read once, remembered, and combined into what the kernel
// holds.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/lists/address_set.hpp"
#include "fw/lists/spared.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct BadLine {
  std::size_t line = 0;
  std::string what;

  bool operator==(const BadLine&) const = default;
};

struct ListText {
  AddressSet set;                 ///< normalized
  std::size_t entries = 0;        ///< good lines, before merging
  std::size_t bad_count = 0;      ///< all bad lines
  std::vector<BadLine> bad;       ///< the first kListBadLinesShown of them
  std::size_t left_count = 0;     ///< entries that touch spared space; the set holds them
  std::vector<BadLine> left_out;  ///< the first kListBadLinesShown of them, and what they touch
  std::vector<BadLine> wide;      ///< the first kListBadLinesShown entries that why_wide names
};

/// Reads an address, CIDR or range a line (# comments, blank lines, CRLF, leading and trailing
/// space) from a file in bounded chunks: memory is that of the spans. Read as well: JSON objects, a
/// line each, with "cidr" or "ip" (Spamhaus); tables whose first column is the address, or whose
/// first three are FIRST, LAST and a prefix length (DShield); "deny from" lines of web servers.
/// A line longer than kListLineBytesMax is a bad line, and so is the whole internet; more than
/// kListEntriesMax entries is an error.
/// Unlike in the policy file, host bits below a prefix length are masked: published lists are full
/// of them. why_wide says when that is worth a word.
Result<ListText> read_list(const std::string& path, const SparedSpace& spared = {});

/// One line of it, without its newline and byte order mark; nothing on a blank line or a comment.
Result<std::optional<IpRange>> parse_list_line(std::string_view line);

/// Why an entry takes in more than was meant, most likely: host bits below the prefix length of a
/// network wider than a /16 (IPv6: /32).
std::optional<std::string> why_wide(std::string_view text, const IpRange& range);

/// Where a list's file is: its name is relative to the policy's folder.
std::string list_path(const Policy& policy, const List& list);

/// What one list of the policy came to.
struct ListReport {
  std::string name;
  std::string file;  ///< resolved path
  ListAction action = ListAction::block;
  Digest digest;  ///< of the content in force
  std::size_t entries = 0;
  std::size_t bad_count = 0;
  std::vector<BadLine> bad;
  std::size_t left_count = 0;     ///< entries of a block list that touch spared space
  std::vector<BadLine> left_out;  ///< the first of them
  std::vector<BadLine> wide;      ///< as ListText::wide
  bool shrank = false;            ///< the file has lost more than half of its entries
  bool last_good = false;  ///< the file is unreadable, has bad lines or shrank: earlier content is
                           ///< in force
  std::string problem;     ///< why, for a person; "" when all is well
};

/// How many spans of a set are single addresses, and how many are more.
struct ListSize {
  std::uint32_t addresses4 = 0;
  std::uint32_t networks4 = 0;
  std::uint32_t addresses6 = 0;
  std::uint32_t networks6 = 0;

  bool operator==(const ListSize&) const = default;
};

/// The content that the kernel should hold; a zero digest is an empty set.
struct EffectiveLists {
  Digest block;  ///< all block lists, less allow lists, trusted networks and spared space
  Digest allow;  ///< all allow lists
  std::vector<ListReport> reports;
  ListSize block_size;
  ListSize allow_size;

  bool has_problems() const;
  Digest content_of(std::string_view list) const;  ///< of one, by name; zero if there is none
};

/// Of a list that lost more than half of its entries, or all: a download that failed looks like
/// that.
enum class Shrunk : std::uint8_t { keep_last_good, accept };

struct ListsAsk {
  SparedSpace spared = {};
  Shrunk shrunk = Shrunk::keep_last_good;
};

/// The lists of a policy and what is remembered of them under `state_dir`/lists: the last good
/// content of each list with its file's stamp (size, times, inode, device), and the effective sets
/// that were last applied, so that an unchanged file is not read and a changed one gives a small
/// delta. A lost or damaged cache costs time, never correctness.
class Lists {
 public:
  explicit Lists(std::string state_dir);
  Lists(Lists&&) noexcept;
  Lists& operator=(Lists&&) noexcept;
  ~Lists();

  /// Brings every list of the policy up to date. Files whose stamp is unchanged are not opened.
  /// A file with bad lines leaves the list's last good content in force; without such, its good
  /// lines are. A list that never could be read counts as empty. A file that lost more than half of
  /// its entries is not taken unless that is asked for. All this is reported, each time.
  EffectiveLists resolve(const Policy& policy, ListsAsk ask = {});

  /// What was found and saved last, with no file of the policy's opened; where that is not known,
  /// the same as resolve().
  EffectiveLists remembered(const Policy& policy, ListsAsk ask = {});

  /// The content of a digest that resolve() returned, or that an earlier run saved. An unknown
  /// digest is an error of code io.
  Result<AddressSet> content(const Digest& digest);

  /// After the kernel took it: remembers what resolve() found, durably (write, fsync, rename), and
  /// forgets content that is neither a list's last good one nor effective. Writes nothing when
  /// nothing changed.
  Result<void> save();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fw
