// Several captures as one, in order of time.
#include "capture/captures.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace capture {

bool Captures::Source::fill() {
  if (left.empty()) left = std::span(batch).first(reader.read(batch));
  return !left.empty();
}

fw::Result<Captures> Captures::open(const std::vector<std::string>& paths) {
  if (paths.size() > kFilesMax) {
    return fw::fail(fw::ErrorCode::usage,
                    fmt::format("{} captures are more than {} at once (try: mergecap)",
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
