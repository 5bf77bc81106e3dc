// What the kernel notes of the sets that are too large to read back.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/manifest.hpp"

#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "chains/compile.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {
namespace {

constexpr const char* kClockNote = "clock";

/// The word of a manifest note, counted from 0; "" behind the last one.
std::string word(const std::string& note, int index) {
  std::size_t from = 0;
  for (; index > 0; --index) {
    const std::size_t space = note.find(' ', from);
    if (space == std::string::npos) return {};
    from = space + 1;
  }
  return note.substr(from, note.find(' ', from) - from);
}

/// The elements of a table's manifest, none if it has none.
const std::vector<chains::Element>& manifest_of(const chains::Ruleset* table) {
  static const std::vector<chains::Element> none;
  const chains::Set* const set =
      table != nullptr ? chains::find(table->sets, chains::kManifest) : nullptr;
  return set != nullptr ? set->elements : none;
}

/// "lists BLOCK-DIGEST ALLOW-DIGEST label FIRST-BIT", "" if it is not there.
std::string lists_note(const std::vector<chains::Element>& manifest) {
  constexpr std::uint32_t kKey = chains::kManifestLists;
  for (const chains::Element& element : manifest) {
    if (element.key.size() == sizeof kKey &&
        std::memcmp(element.key.data(), &kKey, sizeof kKey) == 0) {
      return element.comment;
    }
  }
  return {};
}

}  // namespace

std::string noted_lists(const chains::Ruleset* table, ListAction action) {
  return word(lists_note(manifest_of(table)), action == ListAction::block ? 1 : 2);
}

std::string noted_list(const chains::Ruleset* table, std::string_view name) {
  for (const chains::Element& element : manifest_of(table)) {
    if (word(element.comment, 0) == "list" && word(element.comment, 1) == name)
      return word(element.comment, 2);
  }
  return {};
}

std::optional<int> noted_label(const chains::Ruleset* table) {
  return manifest_label(manifest_of(table));
}

std::optional<int> manifest_label(const std::vector<chains::Element>& manifest) {
  const std::string note = lists_note(manifest);
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

chains::AddElements note_blocks(std::uint64_t generation, WallTime began) {
  chains::Set set;
  set.name = chains::kBlockVersions;
  set.key = {chains::Field::mark};
  const auto version = static_cast<std::uint32_t>(generation);
  chains::Bytes key(sizeof version);
  std::memcpy(key.data(), &version, sizeof version);
  set.elements.push_back({key, {}, {}, fmt::format("{} {}", kClockNote, ms_of(began)), {}});
  return {std::move(set)};
}

}  // namespace fw
