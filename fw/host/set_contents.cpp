// The sets that lists and blocks fill.
#include "fw/host/set_contents.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include "chains/netlink/encode.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {
namespace {

using chains::Batch;
using chains::ElementStream;
using Do = ElementStream::Do;

constexpr const char* kClockNote = "clock";

constexpr Family family_of(int set) { return set < 2 ? Family::ipv4 : Family::ipv6; }
constexpr bool is_network(int set) { return set % 2 == 1; }

template <class Spans>
std::size_t put_spans(const Spans& spans, bool networks, ElementStream& stream) {
  std::size_t count = 0;
  for (const auto& span : spans) {
    if ((span.first != span.last) != networks) continue;
    stream.put(span.first, span.last);
    ++count;
  }
  return count;
}

void put_set(const AddressSet& set, int index, Do what, const char* name, Batch& batch) {
  ElementStream stream(batch, what, name, family_of(index), is_network(index));
  if (family_of(index) == Family::ipv4) {
    put_spans(set.v4, is_network(index), stream);
  } else {
    put_spans(set.v6, is_network(index), stream);
  }
}

/// Both sets of a list that [[open]] names.
void put_source(const AddressSet& set, Do what, std::string_view list, Batch& batch) {
  const auto put = [&](const auto& spans, Family family) {
    ElementStream stream(batch, what, chains::source_set(family, list), family, true);
    for (const auto& span : spans) stream.put(span.first, span.last);
  };
  put(set.v4, Family::ipv4);
  put(set.v6, Family::ipv6);
}

std::size_t span_count(const AddressSet& set) { return set.v4.size() + set.v6.size(); }

void put_pieces(const std::vector<BlockedPiece>& pieces, int index, Do what, WallTime now,
                Batch& batch) {
  ElementStream stream(batch, what, chains::kBlockSets[index], family_of(index), is_network(index));
  for (const BlockedPiece& piece : pieces) {
    if (piece.range.family != family_of(index)) continue;
    std::optional<std::chrono::milliseconds> left;
    // A piece that ends this very moment still goes in: the kernel has no timeout of zero.
    if (piece.until) left = std::max(*piece.until - now, std::chrono::milliseconds{1});
    stream.put(piece.range.first, piece.range.last, left);
  }
}

const std::vector<BlockedPiece>& pieces_of(const BlockedNow& blocked, int index) {
  return is_network(index) ? blocked.networks : blocked.singles;
}

void put_delta(const BlockDelta& delta, int index, WallTime now, Batch& batch) {
  // An element may have ended in the kernel while the store still has it: removing what is not
  // there would refuse the whole batch, so it is made to be there first.
  const auto& removed = pieces_of(delta.removed, index);
  put_pieces(removed, index, Do::add, now, batch);
  put_pieces(removed, index, Do::remove, now, batch);
  put_pieces(pieces_of(delta.added, index), index, Do::add, now, batch);
}

using SharedSet = std::shared_ptr<const AddressSet>;

Result<SharedSet> shared_content(Lists& lists, const Digest& digest) {
  auto set = lists.content(digest);
  if (!set) return std::unexpected(set.error());
  return std::make_shared<const AddressSet>(std::move(*set));
}

/// The word of a manifest note, counted from 0.
std::string word(const std::string& note, int index) {
  std::size_t from = 0;
  for (; index > 0 && from != std::string::npos; --index) from = note.find(' ', from) + 1;
  return note.substr(from, note.find(' ', from) - from);
}

/// The digest of a list that a manifest's elements name.
std::string held_list(const chains::Ruleset* table, const std::string& list) {
  const chains::Set* manifest =
      table != nullptr ? chains::find(table->sets, chains::kManifest) : nullptr;
  if (manifest == nullptr) return {};
  for (const chains::Element& element : manifest->elements) {
    if (word(element.comment, 0) == "list" && word(element.comment, 1) == list)
      return word(element.comment, 2);
  }
  return {};
}

}  // namespace

std::string manifest_note(const std::vector<chains::Element>& manifest, std::uint32_t key) {
  for (const chains::Element& element : manifest) {
    if (element.key.size() == sizeof key &&
        std::memcmp(element.key.data(), &key, sizeof key) == 0) {
      return element.comment;
    }
  }
  return {};
}

std::string manifest_note(const chains::Ruleset* table, std::uint32_t key) {
  const chains::Set* manifest =
      table != nullptr ? chains::find(table->sets, chains::kManifest) : nullptr;
  return manifest != nullptr ? manifest_note(manifest->elements, key) : std::string{};
}

std::optional<int> manifest_label(const std::vector<chains::Element>& manifest) {
  const std::string note = manifest_note(manifest, chains::kManifestLists);
  const std::string number = word(note, 4);
  int bit = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bit);
  const bool fits = error == std::errc{} && bit >= 0 && bit <= 128 - kLabelBits;
  return word(note, 3) == "label" && fits ? std::optional(bit) : std::nullopt;
}

bool ObservedBlocks::are(std::uint64_t generation, WallTime began_now) const {
  return version == generation && began && !clock_was_set(*began, began_now);
}

ObservedBlocks observed_blocks(const std::vector<chains::Element>& versions) {
  ObservedBlocks held;
  for (const chains::Element& element : versions) {
    std::uint32_t version = 0;
    if (element.key.size() != sizeof version) continue;
    std::memcpy(&version, element.key.data(), sizeof version);
    if (version < held.version) continue;
    held = {version, word(element.comment, 0) == kClockNote ? parse_began(word(element.comment, 1))
                                                            : std::nullopt};
  }
  return held;
}

std::optional<WallTime> parse_began(std::string_view text) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return WallTime{std::chrono::milliseconds{ms}};
}

void encode_observed_blocks(std::uint64_t generation, WallTime began, Batch& batch) {
  chains::encode_block_version(
      generation, fmt::format("{} {}", kClockNote, began.time_since_epoch().count()), batch);
}

Result<std::optional<SetContents::ListChange>> SetContents::plan_lists(ListAction action,
                                                                       const std::string& held,
                                                                       const Target& target,
                                                                       const chains::Plan& plan,
                                                                       Lists& lists) {
  const bool block = action == ListAction::block;
  const auto& wanted = block ? target.facts.block_lists : target.facts.allow_lists;
  if (wanted.digest.empty()) return std::nullopt;
  ListChange change;
  change.action = action;
  change.sets = block ? chains::kListedSets : chains::kAllowedSets;
  for (int i = 0; i < 4; ++i) change.whole[i] = plan.makes_set(change.sets[i]);
  const bool all = std::all_of(change.whole, change.whole + 4, [](bool b) { return b; });
  const bool none = std::none_of(change.whole, change.whole + 4, [](bool b) { return b; });
  if (none && held == wanted.digest) return std::nullopt;

  auto after = shared_content(lists, block ? target.lists.block : target.lists.allow);
  if (!after) return std::unexpected(after.error());
  change.after = std::move(*after);
  if (all || held == wanted.digest) return change;
  const auto digest = parse_digest(held);
  auto before =
      digest ? shared_content(lists, *digest) : Result<SharedSet>(std::unexpected(digest.error()));
  if (before) {
    change.delta = compare_spans(**before, *change.after);
  } else {
    change.flush = true;
  }
  return change;
}

Result<std::optional<SetContents::SourceChange>> SetContents::plan_source(
    const chains::SourceList& wanted, const chains::Ruleset* table, const Target& target,
    const chains::Plan& plan, Lists& lists) {
  const std::string held = held_list(table, wanted.name);
  int made = 0;
  for (const Family family : {Family::ipv4, Family::ipv6})
    made += plan.makes_set(chains::source_set(family, wanted.name)) ? 1 : 0;
  if (made == 0 && held == wanted.digest) return std::nullopt;
  SourceChange change{wanted.name, true, made != 2, {}, {}};
  auto after = shared_content(lists, target.lists.content_of(wanted.name));
  if (!after) return std::unexpected(after.error());
  change.after = std::move(*after);
  const auto digest = parse_digest(held);
  if (made != 0 || !digest) return change;
  const auto before = shared_content(lists, *digest);
  if (!before) return change;
  change.whole = change.flush = false;
  change.delta = compare_spans(**before, *change.after);
  return change;
}

Result<SetContents> SetContents::plan(const chains::Observed& observed, const Target& target,
                                      const chains::Plan& plan, Lists& lists,
                                      std::optional<Store>& store) {
  SetContents out;
  const std::string note = manifest_note(observed.table(), chains::kManifestLists);
  for (const ListAction action : {ListAction::block, ListAction::allow}) {
    auto change =
        plan_lists(action, word(note, action == ListAction::block ? 1 : 2), target, plan, lists);
    if (!change) return std::unexpected(change.error());
    if (*change) out.lists_.push_back(std::move(**change));
  }
  for (const chains::SourceList& wanted : target.facts.source_lists) {
    auto change = plan_source(wanted, observed.table(), target, plan, lists);
    if (!change) return std::unexpected(change.error());
    if (*change) out.sources_.push_back(std::move(**change));
  }
  if (!store) return out;
  BlockChanges blocks;
  bool any = false;
  for (int i = 0; i < 4; ++i) {
    blocks.made[i] = plan.makes_set(chains::kBlockSets[i]);
    any = any || blocks.made[i];
  }
  blocks.generation = target.facts.block_generation;
  const Clocks clocks = read_clocks();
  blocks.at = clocks.now;
  blocks.began = clocks.began;
  const ObservedBlocks held = observed_blocks(observed.block_versions);
  const bool stay = !plan.makes_set(chains::kBlockVersions) && held.version == blocks.generation &&
                    held.began.has_value();
  if (held.began && clock_was_set(*held.began, blocks.began)) {
    blocks.clock_step = blocks.began - *held.began;
  }
  blocks.all = !stay;
  blocks.retimed = stay && blocks.clock_step != WallTime::duration{0};
  if (!any && !blocks.all && !blocks.retimed) return out;
  // Those that are over by the clock as it is now may live on by the kernel's timers.
  auto snapshot = store->blocks(blocks.retimed ? WallTime::min() : blocks.at);
  if (!snapshot) return std::unexpected(snapshot.error());
  blocks.now = blocked_at(snapshot->blocks, blocks.at);
  if (blocks.retimed) blocks.before = with_end(snapshot->blocks);
  out.blocks_ = std::move(blocks);
  return out;
}

std::vector<ContentChange> SetContents::summary() const {
  std::vector<ContentChange> out;
  for (const ListChange& change : lists_) {
    ContentChange line;
    line.what = change.action == ListAction::block ? "block lists" : "allow lists";
    const bool whole = std::any_of(change.whole, change.whole + 4, [](bool b) { return b; });
    line.whole = whole || change.flush;
    line.added = line.whole ? span_count(*change.after) : span_count(change.delta.added);
    line.removed = line.whole ? 0 : span_count(change.delta.removed);
    out.push_back(std::move(line));
  }
  for (const SourceChange& change : sources_) {
    const SpanDelta all{{}, *change.after};
    const SpanDelta& delta = change.whole ? all : change.delta;
    out.push_back({fmt::format("list {}", change.name), span_count(delta.added),
                   span_count(delta.removed), change.whole});
  }
  if (!blocks_) return out;
  const auto count = [](const BlockedNow& of) { return of.singles.size() + of.networks.size(); };
  const bool whole =
      blocks_->all || std::any_of(blocks_->made, blocks_->made + 4, [](bool b) { return b; });
  if (whole) out.push_back({"blocks", count(blocks_->now), 0, true});
  if (!whole) {
    out.push_back({"blocks", count(with_end(blocks_->now)), count(blocks_->before), false});
  }
  return out;
}

void SetContents::encode(Batch& batch) const {
  for (const ListChange& change : lists_) {
    for (int i = 0; i < 4; ++i) {
      const char* const name = change.sets[i];
      if (change.whole[i] || change.flush) {
        if (!change.whole[i]) chains::encode_flush_set(name, batch);
        put_set(*change.after, i, Do::add, name, batch);
      } else {
        put_set(change.delta.removed, i, Do::remove, name, batch);
        put_set(change.delta.added, i, Do::add, name, batch);
      }
    }
  }
  for (const SourceChange& change : sources_) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      if (change.flush) chains::encode_flush_set(chains::source_set(family, change.name), batch);
    }
    put_source(change.delta.removed, Do::remove, change.name, batch);
    put_source(change.whole ? *change.after : change.delta.added, Do::add, change.name, batch);
  }
  if (!blocks_) return;
  for (int i = 0; i < 4; ++i) {
    if (!blocks_->made[i] && !blocks_->all) continue;
    if (!blocks_->made[i]) chains::encode_flush_set(chains::kBlockSets[i], batch);
    put_pieces(pieces_of(blocks_->now, i), i, Do::add, blocks_->at, batch);
  }
  if (blocks_->retimed) {
    // What is removed is made to be there first, so nothing more is to be known of it.
    const BlockDelta delta{blocks_->before, with_end(blocks_->now)};
    for (int i = 0; i < 4; ++i) {
      if (!blocks_->made[i]) put_delta(delta, i, blocks_->at, batch);
    }
  }
  if (!blocks_->all && !blocks_->retimed) return;
  chains::encode_flush_set(chains::kBlockVersions, batch);
  encode_observed_blocks(blocks_->generation, blocks_->began, batch);
}

namespace {

SharedSet set_of(const BlockedNow& blocked) {
  auto set = std::make_shared<AddressSet>();
  for (const auto* pieces : {&blocked.singles, &blocked.networks}) {
    for (const BlockedPiece& piece : *pieces) append(*set, piece.range);
  }
  normalize(*set);
  return set;
}

std::function<bool(Ip)> is_among(std::vector<SharedSet> sets) {
  std::erase_if(sets, [](const SharedSet& set) { return set->empty(); });
  if (sets.empty()) return {};
  return [sets = std::move(sets)](Ip ip) {
    return std::any_of(sets.begin(), sets.end(), [ip](const SharedSet& set) {
      return contains(*set, {ip.family, ip.bits, ip.bits});
    });
  };
}

}  // namespace

Result<SourceContents> source_contents(const Target& target, Lists& lists) {
  SourceContents out;
  for (const chains::SourceList& list : target.facts.source_lists) {
    auto content = shared_content(lists, target.lists.content_of(list.name));
    if (!content) return std::unexpected(content.error());
    for (const Family family : {Family::ipv4, Family::ipv6})
      out[chains::source_set(family, list.name)] = *content;
  }
  return out;
}

BlockedNow with_end(BlockedNow pieces) {
  const auto endless = [](const BlockedPiece& piece) { return !piece.until; };
  std::erase_if(pieces.singles, endless);
  std::erase_if(pieces.networks, endless);
  return pieces;
}

BlockedNow with_end(const std::vector<Block>& blocks) {
  return with_end(blocked_at(blocks, WallTime::min()));
}

std::function<bool(Ip)> is_among(const BlockedNow& pieces) { return is_among({set_of(pieces)}); }

Result<std::function<bool(Ip)>> all_blocked(const Target& target, Lists& lists, Store* store) {
  auto listed = shared_content(lists, target.lists.block);
  if (!listed) return std::unexpected(listed.error());
  std::vector<SharedSet> sets{std::move(*listed)};
  if (store != nullptr) {
    const WallTime now = wall_clock();
    const auto snapshot = store->blocks(now);
    if (!snapshot) return std::unexpected(snapshot.error());
    sets.push_back(set_of(blocked_at(snapshot->blocks, now)));
  }
  return is_among(std::move(sets));
}

namespace {

template <class Spans>
void each_span(const Spans& spans, Family family, bool networks,
               const std::function<void(const std::string&)>& element) {
  for (const auto& span : spans) {
    if ((span.first != span.last) != networks) continue;
    element(to_string(IpRange{family, span.first, span.last}));
  }
}

/// Which of the four names it is, -1 if none.
int index_in(const char* const names[4], const std::string& name) {
  for (int i = 0; i < 4; ++i) {
    if (name == names[i]) return i;
  }
  return -1;
}

}  // namespace

Result<chains::ManagedElements> managed_elements(const Target& target, Lists& lists, Store* store) {
  auto listed = shared_content(lists, target.lists.block);
  if (!listed) return std::unexpected(listed.error());
  auto allowed = shared_content(lists, target.lists.allow);
  if (!allowed) return std::unexpected(allowed.error());
  const WallTime now = wall_clock();
  BlockedNow blocked;
  if (store != nullptr) {
    const auto snapshot = store->blocks(now);
    if (!snapshot) return std::unexpected(snapshot.error());
    blocked = blocked_at(snapshot->blocks, now);
  }
  auto sources = source_contents(target, lists);
  if (!sources) return std::unexpected(sources.error());
  return [listed = *listed, allowed = *allowed, sources = std::move(*sources),
          blocked = std::move(blocked), now, generation = target.facts.block_generation](
             const chains::Set& set, const std::function<void(const std::string&)>& element) {
    for (const auto& [names, content] :
         {std::pair{chains::kListedSets, listed.get()}, {chains::kAllowedSets, allowed.get()}}) {
      const int i = index_in(names, set.name);
      if (i < 0) continue;
      if (i < 2) each_span(content->v4, Family::ipv4, is_network(i), element);
      if (i >= 2) each_span(content->v6, Family::ipv6, is_network(i), element);
    }
    if (const auto source = sources.find(set.name); source != sources.end()) {
      const bool v4 = set.key.front() == chains::Field::ip_saddr;
      for (const bool networks : {false, true}) {
        if (v4) each_span(source->second->v4, Family::ipv4, networks, element);
        if (!v4) each_span(source->second->v6, Family::ipv6, networks, element);
      }
    }
    if (set.name == chains::kBlockVersions) element(fmt::format("{:#010x}", generation));
    const int i = index_in(chains::kBlockSets, set.name);
    if (i < 0) return;
    for (const BlockedPiece& piece : pieces_of(blocked, i)) {
      if (piece.range.family != family_of(i)) continue;
      const std::string timeout =
          piece.until ? " timeout " + chains::duration_text(*piece.until - now) : "";
      element(to_string(piece.range) + timeout);
    }
  };
}

void encode_block_delta(const BlockDelta& delta, WallTime now, Batch& batch) {
  for (int i = 0; i < 4; ++i) put_delta(delta, i, now, batch);
}

}  // namespace fw
