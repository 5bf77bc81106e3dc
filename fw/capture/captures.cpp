// Several captures as one, in order of time.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/capture/captures.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace capture {

namespace {

/// Moves a packet that stands behind later ones before them, when those are few and little later:
/// of several devices, or written by several processors. A clock that was set stays as it is.
void put_in_order(std::span<Packet> packets, std::size_t at, std::size_t few) {
  constexpr std::int64_t kLittle = 1'000'000'000;
  const Packet packet = packets[at];
  std::size_t to = at;
  while (to > 0 && at - to < few && packets[to - 1].time > packet.time &&
         packets[to - 1].time - packet.time <= kLittle) {
    packets[to] = packets[to - 1];
    --to;
  }
  packets[to] = packet;
}

}  // namespace

bool Captures::Source::fill() {
  if (!left.empty()) return true;
  // Those that were kept come first: the ones now read may belong before them.
  std::copy(batch.end() - static_cast<std::ptrdiff_t>(kept), batch.end(), batch.begin());
  const std::size_t room = batch.size() - kept;
  const std::size_t got = reader.read(std::span(batch).subspan(kept));
  const auto all = std::span(batch).first(kept + got);
  for (std::size_t i = std::max<std::size_t>(kept, 1); i < all.size(); ++i) {
    if (all[i].time < all[i - 1].time) put_in_order(all, i, kFew);
  }
  kept = got == room ? kFew : 0;  // less is read at the end alone
  left = all.first(all.size() - kept);
  return !left.empty();
}

fw::Result<Captures> Captures::open(const std::vector<std::string>& paths) {
  if (paths.size() > kFilesMax) {
    return fw::fail(fw::ErrorCode::usage,
                    fmt::format("{} captures are too many: at most {} at once (try: mergecap)",
                                paths.size(), kFilesMax));
  }
  Captures captures;
  for (const std::string& path : paths) {
    auto reader = Reader::open(path);
    if (!reader) return std::unexpected(reader.error());
    captures.sources_.push_back(std::make_unique<Source>(std::move(*reader)));
    captures.active_.push_back(captures.sources_.back().get());
  }
  return captures;
}

std::span<const Packet> Captures::read() {
  std::erase_if(active_, [](Source* s) { return !s->fill(); });
  if (active_.empty()) return {};
  if (active_.size() == 1) return std::exchange(active_[0]->left, {});
  merged_.clear();
  while (merged_.size() < kBatch) {
    const auto earliest = std::min_element(
        active_.begin(), active_.end(),
        [](const Source* a, const Source* b) { return a->left[0].time < b->left[0].time; });
    Source& source = **earliest;
    merged_.push_back(source.left[0]);
    source.left = source.left.subspan(1);
    if (!source.fill()) active_.erase(earliest);
    if (active_.size() < 2) break;
  }
  return merged_;
}

std::vector<fw::Error> Captures::broken() const {
  std::vector<fw::Error> errors;
  for (const auto& source : sources_) {
    if (source->reader.broken()) errors.push_back(*source->reader.broken());
  }
  return errors;
}

Reader::Counts Captures::counts() const {
  Reader::Counts all;
  for (const auto& source : sources_) {
    const Reader::Counts& one = source->reader.counts();
    all.frames += one.frames;
    all.bytes += one.bytes;
    all.not_ip += one.not_ip;
    all.malformed += one.malformed;
  }
  return all;
}

std::uint64_t Captures::position() const {
  std::uint64_t bytes = 0;
  for (const auto& source : sources_) bytes += source->reader.position();
  return bytes;
}

std::uint64_t Captures::size() const {
  std::uint64_t bytes = 0;
  for (const auto& source : sources_) {
    if (source->reader.size() == 0) return 0;
    bytes += source->reader.size();
  }
  return bytes;
}

}  // namespace capture
