// The kernel's nf_tables: read our table, commit a batch.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chains/netlink/batch.hpp"
#include "chains/ruleset.hpp"

namespace chains {

struct Counted {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

/// Our tables as the kernel holds them.
struct Observed {
  std::uint32_t generation = 0;  ///< of the whole ruleset, for Batch
  std::optional<Ruleset>
      ruleset;  ///< absent: no table inet; managed and learned sets without elements
  std::vector<Element> block_versions;                         ///< see compile.hpp
  std::map<std::string, Counted> counters;                     ///< named counters
  std::map<std::string, std::vector<Counted>> element_counts;  ///< by set, parallel to its elements
  std::map<std::string, std::uint32_t> set_fill;  ///< elements held, where the kernel says

  const Ruleset* table() const { return ruleset ? &*ruleset : nullptr; }
};

/// Is that the netlink port of a Kernel of this process, one that lives or one of the last 64 that
/// did? So it is known who changed a ruleset where the kernel's number of a process says nothing:
/// in a PID namespace.
bool is_own_port(std::uint32_t port);

/// The generation that a commit at that one makes: the kernel counts one up, past zero.
constexpr std::uint32_t next_generation(std::uint32_t generation) {
  return std::max(generation + 1, std::uint32_t{1});
}

class Kernel {
 public:
  /// Opens a netlink socket. Fails with permission or unsupported, and the remedy.
  static fw::Result<Kernel> open();

  Kernel(Kernel&&) noexcept;
  Kernel& operator=(Kernel&&) noexcept;
  ~Kernel();

  /// Reads our tables, consistently (again if another program changes it in the meantime). The
  /// elements of sets that lists, blocks or packets fill are not read.
  fw::Result<Observed> read();

  /// The elements of one small set; nothing when the set or the table is not there.
  fw::Result<std::vector<Element>> elements(const std::string& set);

  /// Is there such a table of ours? No, where the kernel does not know its family.
  fw::Result<bool> has(Table table);

  /// Asks one set for one key (of an interval set: the interval that holds it), without a dump: how
  /// long the element lasts, 0 if permanent; nothing when there is none.
  fw::Result<std::optional<std::chrono::milliseconds>> find_element(const std::string& set,
                                                                    const Bytes& key);

  /// Counts the elements of a set by dumping it: for kernels that do not tell (before 6.16).
  fw::Result<std::uint32_t> count_elements(const std::string& set);

  /// Where rules of other tables stand that set one of those bits of a connection label, each place
  /// once. iptables-legacy and Open vSwitch do not tell.
  fw::Result<std::vector<std::string>> label_writers(const Bytes& bits);

  /// All or nothing. kernel_busy: the ruleset is of another generation by now. kernel_refused names
  /// the message's origin.
  fw::Result<void> commit(Batch& batch);

  /// The generation of the whole ruleset.
  fw::Result<std::uint32_t> generation();

 private:
  struct Impl;
  explicit Kernel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One attempt to bring the kernel from what it holds to what it should hold.
struct Attempt {
  Batch batch;  ///< for the generation at which the kernel was read
  /// Another attempt follows when this is committed: the kernel takes the rest behind it only.
  bool more = false;
};
/// Reads what it needs of the kernel, and makes an attempt from that; nothing: all is as it should
/// be.
using MakeAttempt = std::function<fw::Result<std::optional<Attempt>>()>;

/// Called before and after a transaction of thousands of elements.
struct AroundLarge {
  std::function<void()> begins;
  std::function<void()> ends;
};

/// Commits, and makes another attempt when another program has changed the ruleset in the meantime:
/// kApplyTries in all, then it fails with kernel_busy. Returns the generation that was made;
/// nothing when `make` asked for nothing.
fw::Result<std::optional<std::uint32_t>> commit_with_retry(Kernel& kernel, const MakeAttempt& make,
                                                           const AroundLarge& around = {});

}  // namespace chains
