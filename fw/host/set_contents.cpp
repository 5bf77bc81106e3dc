// What becomes of the sets that lists and blocks fill.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/set_contents.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/host/host_facts.hpp"
#include "fw/host/manifest.hpp"

namespace fw {
namespace {

using chains::ElementSink;
using chains::SetUpdate;
using Do = chains::StreamElements::Do;
using SharedSet = std::shared_ptr<const AddressSet>;

constexpr Family family_of(int set) { return set < 2 ? Family::ipv4 : Family::ipv6; }
constexpr bool is_network(int set) { return set % 2 == 1; }
constexpr chains::Field key_of(Family family) {
  return family == Family::ipv4 ? chains::Field::ip_saddr : chains::Field::ip6_saddr;
}

/// Which spans of a set go into a set of the kernel.
enum class Which : std::uint8_t { singles, networks, all };

void put_spans(const AddressSet& set, Family family, Which which, ElementSink& sink) {
  const auto put = [&](const auto& spans) {
    for (const auto& span : spans) {
      const Which is = span.first != span.last ? Which::networks : Which::singles;
      if (which == Which::all || which == is) sink.put(span.first, span.last);
    }
  };
  if (family == Family::ipv4) put(set.v4);
  if (family == Family::ipv6) put(set.v6);
}

/// One of the four sets of a list action.
SetUpdate list_update(Do what, const char* const names[4], int i, const SharedSet& set) {
  const Family family = family_of(i);
  const Which which = is_network(i) ? Which::networks : Which::singles;
  return chains::StreamElements{
      what, names[i], key_of(family), is_network(i),
      [set, family, which](ElementSink& sink) { put_spans(*set, family, which, sink); }};
}

/// One of the two sets of a list that [[open]] names.
SetUpdate source_update(Do what, std::string_view list, Family family, const SharedSet& set) {
  return chains::StreamElements{
      what, chains::source_set(family, list), key_of(family), true,
      [set, family](ElementSink& sink) { put_spans(*set, family, Which::all, sink); }};
}

std::size_t span_count(const AddressSet& set) { return set.v4.size() + set.v6.size(); }

const std::vector<BlockedPiece>& pieces_of(const BlockedNow& blocked, int index) {
  return is_network(index) ? blocked.networks : blocked.singles;
}

SetUpdate block_update(Do what, int index, const BlockedNow& blocked, WallTime now,
                       const std::shared_ptr<const void>& owner) {
  const Family family = family_of(index);
  const std::vector<BlockedPiece>& pieces = pieces_of(blocked, index);
  return chains::StreamElements{what, chains::kBlockSets[index], key_of(family), is_network(index),
                                [family, &pieces, now, owner](ElementSink& sink) {
                                  for (const BlockedPiece& piece : pieces) {
                                    if (piece.range.family != family) continue;
                                    std::optional<std::chrono::milliseconds> left;
                                    // A piece that ends this very moment still goes in: the kernel
                                    // has no timeout of zero.
                                    if (piece.until)
                                      left = std::max(*piece.until - now,
                                                      std::chrono::milliseconds{1});
                                    sink.put(piece.range.first, piece.range.last, left);
                                  }
                                }};
}

void update_block_set(int index, const BlockDelta& delta, WallTime now,
                      const std::shared_ptr<const void>& owner, std::vector<SetUpdate>& out) {
  // An element may have ended in the kernel while the store still has it: removing what is not
  // there would refuse the whole batch, so it is made to be there first.
  out.push_back(block_update(Do::add, index, delta.removed, now, owner));
  out.push_back(block_update(Do::remove, index, delta.removed, now, owner));
  out.push_back(block_update(Do::add, index, delta.added, now, owner));
}

Result<SharedSet> shared_content(Lists& lists, const Digest& digest) {
  auto set = lists.content(digest);
  if (!set) return std::unexpected(set.error());
  return std::make_shared<const AddressSet>(std::move(*set));
}

SharedSet shared(AddressSet&& set) { return std::make_shared<const AddressSet>(std::move(set)); }

/// What takes the content of a digest, as the kernel notes it, to another; nothing when the earlier
/// one is not known.
std::optional<SpanDelta> delta_from(const std::string& held, const AddressSet& after,
                                    Lists& lists) {
  const auto digest = parse_digest(held);
  if (!digest) return {};
  const auto before = lists.content(*digest);
  if (!before) return {};
  return compare_spans(*before, after);
}

BlockedNow with_end(BlockedNow pieces) {
  const auto endless = [](const BlockedPiece& piece) { return !piece.until; };
  std::erase_if(pieces.singles, endless);
  std::erase_if(pieces.networks, endless);
  return pieces;
}

/// Of one apply: adds to its contents, source by source.
class Planning {
 public:
  Planning(const chains::Observed& observed, const Target& target, const chains::Plan& plan,
           Lists& lists)
      : observed_(observed), target_(target), plan_(plan), lists_(lists) {}

  Result<void> lists(ListAction action);
  Result<void> source(const chains::SourceList& wanted);
  Result<void> blocks(Store& store);
  SetContents take() { return std::move(out_); }

 private:
  void put(SetUpdate update) { out_.updates.push_back(std::move(update)); }
  void flush(std::string set) { put(chains::FlushSet{std::move(set)}); }

  const chains::Observed& observed_;
  const Target& target_;
  const chains::Plan& plan_;
  Lists& lists_;
  SetContents out_;
};

/// The four sets of a list action: single addresses and networks of both families.
Result<void> Planning::lists(ListAction action) {
  const bool block = action == ListAction::block;
  const auto& wanted = block ? target_.facts.block_lists : target_.facts.allow_lists;
  if (wanted.digest.empty()) return {};
  const auto& sets = block ? chains::kListedSets : chains::kAllowedSets;
  bool made[4];  // these are empty, and get all
  for (int i = 0; i < 4; ++i) made[i] = plan_.makes_set(sets[i]);
  const bool all = std::all_of(made, made + 4, [](bool b) { return b; });
  const bool any = std::any_of(made, made + 4, [](bool b) { return b; });
  const std::string held = noted_lists(observed_.table(), action);
  if (!any && held == wanted.digest) return {};

  const auto after = shared_content(lists_, block ? target_.lists.block : target_.lists.allow);
  if (!after) return std::unexpected(after.error());
  // The others lose all first if it is not known what they hold.
  std::optional<SpanDelta> delta;
  if (all || held == wanted.digest) delta.emplace();
  if (!delta) delta = delta_from(held, **after, lists_);
  ContentChange line{block ? "block lists" : "allow lists", 0, 0, any || !delta};
  line.added = line.whole ? span_count(**after) : span_count(delta->added);
  line.removed = line.whole ? 0 : span_count(delta->removed);
  out_.summary.push_back(std::move(line));

  const bool flushes = !delta;
  const SharedSet removed = shared(delta ? std::move(delta->removed) : AddressSet{});
  const SharedSet added = shared(delta ? std::move(delta->added) : AddressSet{});
  for (int i = 0; i < 4; ++i) {
    if (made[i] || flushes) {
      if (!made[i]) flush(sets[i]);
      put(list_update(Do::add, sets, i, *after));
    } else {
      put(list_update(Do::remove, sets, i, removed));
      put(list_update(Do::add, sets, i, added));
    }
  }
  return {};
}

/// The two sets of a list that [[open]] names.
Result<void> Planning::source(const chains::SourceList& wanted) {
  const std::string held = noted_list(observed_.table(), wanted.name);
  int made = 0;
  for (const Family family : {Family::ipv4, Family::ipv6})
    made += plan_.makes_set(chains::source_set(family, wanted.name)) ? 1 : 0;
  if (made == 0 && held == wanted.digest) return {};
  const auto after = shared_content(lists_, target_.lists.content_of(wanted.name));
  if (!after) return std::unexpected(after.error());
  auto delta = made == 0 ? delta_from(held, **after, lists_) : std::nullopt;
  const bool whole = !delta;
  const SharedSet removed = shared(delta ? std::move(delta->removed) : AddressSet{});
  const SharedSet added = delta ? shared(std::move(delta->added)) : *after;
  out_.summary.push_back(
      {fmt::format("list {}", wanted.name), span_count(*added), span_count(*removed), whole});
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    if (whole && made != 2) flush(chains::source_set(family, wanted.name));
  }
  for (const Do what : {Do::remove, Do::add}) {
    for (const Family family : {Family::ipv4, Family::ipv6})
      put(source_update(what, wanted.name, family, what == Do::add ? added : removed));
  }
  return {};
}

Result<void> Planning::blocks(Store& store) {
  bool made[4];  // these are empty
  for (int i = 0; i < 4; ++i) made[i] = plan_.makes_set(chains::kBlockSets[i]);
  const bool any = std::any_of(made, made + 4, [](bool b) { return b; });
  const Clocks clocks = read_clocks();
  const ObservedBlocks held = observed_blocks(observed_.block_versions);
  const std::uint64_t generation = target_.facts.block_generation;
  // The sets that are there hold these blocks, or lose all first, for what they hold is not known.
  const bool stay = !plan_.makes_set(chains::kBlockVersions) && held.version == generation &&
                    held.began.has_value();
  if (held.began && clock_was_set(*held.began, clocks.began))
    out_.clock_step = clocks.began - *held.began;
  // They hold them with timers of another clock.
  const bool retimed = stay && out_.clock_step.count() != 0;
  if (!any && stay && !retimed) return {};

  // Those that are over by the clock as it is now may live on by the kernel's timers.
  const auto snapshot = store.blocks(retimed ? WallTime::min() : clocks.now);
  if (!snapshot) return std::unexpected(snapshot.error());
  const auto now = std::make_shared<const BlockedNow>(blocked_at(snapshot->blocks, clocks.now));
  for (int i = 0; i < 4; ++i) {
    if (!made[i] && stay) continue;
    if (!made[i]) flush(chains::kBlockSets[i]);
    put(block_update(Do::add, i, *now, clocks.now, now));
  }
  const auto count = [](const BlockedNow& of) { return of.singles.size() + of.networks.size(); };
  ContentChange line{"blocks", count(*now), 0, any || !stay};
  if (retimed) {
    // What is removed is made to be there first, so nothing more is to be known of it.
    const auto delta = std::make_shared<const BlockDelta>(
        with_end(blocked_at(snapshot->blocks, WallTime::min())), with_end(*now));
    for (int i = 0; i < 4; ++i) {
      if (!made[i]) update_block_set(i, *delta, clocks.now, delta, out_.updates);
    }
    if (!line.whole) line = {"blocks", count(delta->added), count(delta->removed), false};
  }
  out_.summary.push_back(std::move(line));
  if (stay && !retimed) return {};
  flush(chains::kBlockVersions);
  put(note_blocks(generation, clocks.began));
  return {};
}

}  // namespace

Result<SetContents> plan_contents(const chains::Observed& observed, const Target& target,
                                  const chains::Plan& plan, Lists& lists, Store* store) {
  Planning planning(observed, target, plan, lists);
  for (const ListAction action : {ListAction::block, ListAction::allow}) {
    if (const auto done = planning.lists(action); !done) return std::unexpected(done.error());
  }
  for (const chains::SourceList& wanted : target.facts.source_lists) {
    if (const auto done = planning.source(wanted); !done) return std::unexpected(done.error());
  }
  if (store != nullptr) {
    if (const auto done = planning.blocks(*store); !done) return std::unexpected(done.error());
  }
  return planning.take();
}

Result<chains::ManagedElements> managed_elements(const Target& target, Lists& lists, Store* store) {
  const chains::Plan creation = chains::diff(nullptr, target.ruleset);
  auto contents = plan_contents({}, target, creation, lists, store);
  if (!contents) return std::unexpected(contents.error());
  return [streamed = chains::managed_elements(std::move(contents->updates)),
          generation = target.facts.block_generation](
             const chains::Set& set, const std::function<void(const std::string&)>& element) {
    // Without its note of the clock: whoever loads the text has not put the blocks in force now.
    if (set.name == chains::kBlockVersions) element(fmt::format("{:#010x}", generation));
    streamed(set, element);
  };
}

std::vector<SetUpdate> update_blocks(const BlockDelta& delta, WallTime now,
                                     const std::shared_ptr<const void>& owner) {
  std::vector<SetUpdate> out;
  for (int i = 0; i < 4; ++i) update_block_set(i, delta, now, owner, out);
  return out;
}

}  // namespace fw
