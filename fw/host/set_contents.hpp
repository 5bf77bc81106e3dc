// The sets that lists and blocks fill: too large to read back, so a version in the manifest tells
// what the kernel holds, and only the difference is sent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chains/text.hpp"
#include "fw/host/apply.hpp"

namespace fw {

class SetContents {
 public:
  /// Decides what each set must lose and gain; loads only what that needs.
  static Result<SetContents> plan(const chains::Observed& observed, const Target& target,
                                  const chains::Plan& plan, Lists& lists,
                                  std::optional<Store>& store);

  bool empty() const { return lists_.empty() && sources_.empty() && !blocks_; }
  std::vector<ContentChange> summary() const;
  void encode(chains::Batch& batch) const;
  /// How far the wall clock was set since the kernel got its blocks, if it gets them anew for that.
  std::chrono::milliseconds clock_step() const {
    return blocks_ ? blocks_->clock_step : WallTime::duration{0};
  }

 private:
  using SharedSet = std::shared_ptr<const AddressSet>;
  /// The four sets of a list action: single addresses and networks of both families.
  struct ListChange {
    ListAction action{};
    const char* const* sets = nullptr;
    bool whole[4] = {};  ///< empty sets, which get all
    bool flush = false;  ///< the others lose all first, for what they hold is not known
    SharedSet after;
    SpanDelta delta;  ///< for the others, when known
  };
  /// The two sets of a list that [[open]] names.
  struct SourceChange {
    std::string name;
    bool whole = false;  ///< they get all
    bool flush = false;  ///< and lose all first
    SharedSet after;
    SpanDelta delta;  ///< else
  };
  struct BlockChanges {
    bool made[4] = {};     ///< sets that are empty
    bool all = false;      ///< the others lose all first, for what they hold is not known
    bool retimed = false;  ///< the others hold these blocks, with timers of another clock
    BlockedNow before;     ///< with retimed: what the kernel may hold of those that have an end
    BlockedNow now;
    WallTime at{};
    WallTime began{};
    std::uint64_t generation = 0;
    std::chrono::milliseconds clock_step{0};
  };

  static Result<std::optional<ListChange>> plan_lists(ListAction action, const std::string& held,
                                                      const Target& target,
                                                      const chains::Plan& plan, Lists& lists);

  static Result<std::optional<SourceChange>> plan_source(const chains::SourceList& wanted,
                                                         const chains::Ruleset* table,
                                                         const Target& target,
                                                         const chains::Plan& plan, Lists& lists);

  std::vector<ListChange> lists_;
  std::vector<SourceChange> sources_;
  std::optional<BlockChanges> blocks_;
};

/// What the lists that [[open]] names hold, by the names of their sets.
using SourceContents = std::map<std::string, std::shared_ptr<const AddressSet>>;
Result<SourceContents> source_contents(const Target& target, Lists& lists);

/// The elements of the managed sets of a target, for chains::write_nft. Without a store there are
/// no blocks.
Result<chains::ManagedElements> managed_elements(const Target& target, Lists& lists, Store* store);

/// The note that a manifest's elements have under a key, "" if none.
std::string manifest_note(const std::vector<chains::Element>& manifest, std::uint32_t key);
std::string manifest_note(const chains::Ruleset* table, std::uint32_t key);

/// The version of the blocks that the kernel holds, the greatest, and Clocks::began when it got it;
/// 0 and nothing if there is none.
struct ObservedBlocks {
  std::uint64_t version = 0;
  std::optional<WallTime> began;

  /// These very blocks, with timers that end when the blocks do.
  bool are(std::uint64_t generation, WallTime began_now) const;
  bool operator==(const ObservedBlocks&) const = default;
};
ObservedBlocks observed_blocks(const std::vector<chains::Element>& versions);
/// A time in milliseconds since 1970, in digits; nothing when it is none.
std::optional<WallTime> parse_began(std::string_view text);
/// Appends that note.
void encode_observed_blocks(std::uint64_t generation, WallTime began, chains::Batch& batch);

/// True for the addresses of pieces.
std::function<bool(Ip)> is_among(const BlockedNow& pieces);
/// True for every address that the target's block lists or the store's blocks cover; empty: for
/// none.
Result<std::function<bool(Ip)>> all_blocked(const Target& target, Lists& lists, Store* store);

/// The mark bit that the rules in the kernel work with, by a manifest's elements; 0 if unknown.
std::optional<int> manifest_label(const std::vector<chains::Element>& manifest);

/// The pieces of blocks that have an end, whenever that is or was.
BlockedNow with_end(const std::vector<Block>& blocks);
BlockedNow with_end(BlockedNow pieces);

/// Appends the pieces that a change of blocks takes away and adds.
void encode_block_delta(const BlockDelta& delta, WallTime now, chains::Batch& batch);

}  // namespace fw
