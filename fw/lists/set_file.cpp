// The form of a set file: a header, the IPv4 spans, the IPv6 spans, all as they lie in memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/set_file.hpp"

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

struct Header {
  std::array<char, 8> magic{'f', 'w', 'a', 'd', 'd', 'r', 's', '1'};  // the last one is the version
  Digest digest;
  std::uint64_t count4 = 0;
  std::uint64_t count6 = 0;

  bool operator==(const Header&) const = default;
};
static_assert(sizeof(Header) == 40);

// No set of this program's has more spans; a larger count is damage, and must not be allocated.
constexpr std::uint64_t kSpansMax = 2 * kListsMax * kListEntriesMax;

struct OpenSet {
  File file;
  Header header;
};

Result<OpenSet> open_set(const std::string& folder, const Digest& digest) {
  const std::string path = fmt::format("{}/{}", folder, set_file_name(digest));
  auto open = open_regular(path);
  if (!open) return std::unexpected(open.error());
  Header header;
  const auto size = read_some(open->file, &header, sizeof header);
  if (!size) return std::unexpected(size.error());
  Header wanted;
  wanted.digest = digest;
  wanted.count4 = header.count4;
  wanted.count6 = header.count6;
  if (*size != sizeof header || header != wanted || header.count4 > kSpansMax ||
      header.count6 > kSpansMax ||
      static_cast<std::uint64_t>(open->status.st_size) !=
          sizeof header + header.count4 * sizeof(Span4) + header.count6 * sizeof(Span6)) {
    return fail(ErrorCode::io, fmt::format("{} is damaged", path));
  }
  return OpenSet{std::move(open->file), header};
}

template <class U>
bool read_spans(const File& file, std::uint64_t count, std::vector<Span<U>>& spans) {
  spans.resize(count);
  const auto size = read_some(file, spans.data(), count * sizeof(Span<U>));
  return size && *size == count * sizeof(Span<U>);
}

}  // namespace

std::string set_file_name(const Digest& digest) { return to_string(digest) + ".set"; }

bool has_set_file(const std::string& folder, const Digest& digest) {
  return open_set(folder, digest).has_value();
}

Result<AddressSet> read_set_file(const std::string& folder, const Digest& digest) {
  const auto open = open_set(folder, digest);
  if (!open) return std::unexpected(open.error());
  AddressSet set;
  if (!read_spans(open->file, open->header.count4, set.v4) ||
      !read_spans(open->file, open->header.count6, set.v6) || fw::digest(set) != digest) {
    return fail(ErrorCode::io, fmt::format("{}/{} is damaged", folder, set_file_name(digest)));
  }
  return set;
}

Result<void> write_set_file(const File& folder, const Digest& digest, const AddressSet& set) {
  Header header;
  header.digest = digest;
  header.count4 = set.v4.size();
  header.count6 = set.v6.size();
  return replace_file(folder, set_file_name(digest),
                      {std::as_bytes(std::span(&header, 1)), std::as_bytes(std::span(set.v4)),
                       std::as_bytes(std::span(set.v6))});
}

}  // namespace fw
