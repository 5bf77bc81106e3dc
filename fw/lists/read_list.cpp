// From the text of an address list to spans, as fast as the text can be looked at.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/lists/file.hpp"
#include "fw/lists/lists.hpp"

namespace fw {
namespace {

static_assert(std::endian::native == std::endian::little, "the byte tricks below count from low");

constexpr std::size_t kChunkBytes = 64 << 10;
// The byte tricks look at 16 bytes from a line's start, and at 4 before a number's end.
constexpr std::size_t kLookBehind = 4;
constexpr std::size_t kLookAhead = 16;
constexpr std::size_t kShortestIpv4Line = 8;  // "1.1.1.1\n"

std::uint32_t load32(const char* p) {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// One bit for each of the 8 bytes at p, the first one lowest: set where it is no digit. Bits after
/// the first byte above 0x7f mean nothing.
unsigned non_digits(const char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  word ^= 0x3030303030303030u;  // digits become 0 to 9
  const std::uint64_t high = ((word + 0x7676767676767676u) | word) & 0x8080808080808080u;
  return static_cast<unsigned>((high >> 7) * 0x0102040810204080u >> 56);
}

/// The number of 1 to 3 digits that ends before `end`; above 255 when it is none of an address.
std::uint32_t octet(const char* end, std::ptrdiff_t digits) {
  if (digits < 1 || digits > 3) return 256;
  const unsigned unused = 8 * static_cast<unsigned>(4 - digits);
  const std::uint32_t word = (load32(end - 4) ^ 0x30303030u) >> unused << unused;
  const bool padded = digits > 1 && (word >> unused & 0xff) == 0;
  return (word >> 24) + 10 * (word >> 16 & 0xff) + 100 * (word >> 8 & 0xff) + (padded ? 256 : 0);
}

/// Reads "a.b.c.d" at p and moves p behind it; nothing when something else stands there.
bool scan_ipv4(const char*& p, std::uint32_t& bits) {
  unsigned stops = non_digits(p) | non_digits(p + 8) << 8;
  std::uint32_t wrong = 0;
  const char* begin = p;
  bits = 0;
  for (int i = 0; i < 4; ++i) {
    if (stops == 0) return false;
    const char* end = p + std::countr_zero(stops);
    stops &= stops - 1;
    const std::uint32_t number = octet(end, end - begin);
    wrong |= number | static_cast<std::uint32_t>(i < 3 && *end != '.') << 8;
    bits = bits << 8 | number;
    begin = end + 1;
  }
  if (wrong > 255) return false;
  p = begin - 1;
  return true;
}

/// Reads a prefix length behind its slash.
bool scan_prefix4(const char*& p, unsigned& length) {
  const auto digit = [](char c) { return static_cast<unsigned>(c - '0'); };
  length = digit(*p);
  if (length > 9) return false;
  ++p;
  if (length != 0 && digit(*p) <= 9) length = length * 10 + digit(*p++);
  return length <= 32;
}

/// Reads an IPv4 address, network or range at p and moves p behind it.
bool scan_span4(const char*& p, Span4& span) {
  if (!scan_ipv4(p, span.first)) return false;
  span.last = span.first;
  if (*p == '/') {
    unsigned length = 0;
    if (!scan_prefix4(++p, length)) return false;
    const auto host = static_cast<std::uint32_t>(std::uint64_t{0xffffffff} >> length);
    span.first &= ~host;
    span.last |= host;
  } else if (*p == '-') {
    return scan_ipv4(++p, span.last) && span.first <= span.last;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// The network that an address in it and a prefix length mean; nothing when they are not written
/// well.
std::optional<IpRange> masked_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return {};
  const auto ip = parse_ip(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  int length = 0;
  const auto [stop, error] = std::from_chars(digits.begin(), digits.end(), length);
  if (!ip || error != std::errc{} || stop != digits.end() || digits != std::to_string(length))
    return {};
  const bool mapped = ip->family == Family::ipv4 && text.find(':') != text.npos;
  if (mapped) length -= address_bits(Family::ipv6) - address_bits(Family::ipv4);
  const int bits = address_bits(ip->family);
  if (length < 0 || length > bits) return {};
  const U128 host = length == bits ? 0 : address_max(ip->family) >> length;
  return IpRange{ip->family, ip->bits & ~host, ip->bits | host};
}

/// Takes the lines of one file in turn.
class Reader {
 public:
  explicit Reader(std::size_t file_bytes) {
    // Address space only: what no span is written to costs no memory.
    text_.set.v4.reserve(std::min(file_bytes / kShortestIpv4Line + 1, kListEntriesMax));
  }

  /// Whole lines, each with its newline; kLookBehind and kLookAhead bytes around may be looked at.
  void take(const char* p, const char* end) {
    while (p != end) {
      ++line_;
      const char* stop = p;
      Span4 span;
      if (scan_span4(stop, span)) {
        if (*stop == '\r') ++stop;
        if (*stop == '\n') {
          text_.set.v4.push_back(span);
          p = stop + 1;
          continue;
        }
      }
      stop = static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
      take_slowly({p, stop});
      p = stop + 1;
    }
  }

  /// A line too long to be kept.
  void skip_line() {
    ++line_;
    bad(fmt::format("longer than {} bytes", kListLineBytesMax));
  }

  std::size_t entries() const { return text_.set.v4.size() + text_.set.v6.size(); }

  ListText finish() && {
    text_.entries = entries();
    normalize(text_.set);
    return std::move(text_);
  }

 private:
  void take_slowly(std::string_view line) {
    if (line.size() > kListLineBytesMax)
      return bad(fmt::format("longer than {} bytes", kListLineBytesMax));
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (line_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    const auto entry = parse_list_line(line);
    if (!entry) return bad(entry.error().what);
    if (!*entry) return;
    const IpRange& range = **entry;
    if (range.family == Family::ipv6) {
      text_.set.v6.push_back({range.first, range.last});
    } else {
      text_.set.v4.push_back(
          {static_cast<std::uint32_t>(range.first), static_cast<std::uint32_t>(range.last)});
    }
  }

  void bad(std::string what) {
    if (++text_.bad_count <= kListBadLinesShown) text_.bad.push_back({line_, std::move(what)});
  }

  ListText text_;
  std::size_t line_ = 0;
};

}  // namespace

Result<std::optional<IpRange>> parse_list_line(std::string_view line) {
  const std::string_view entry = trimmed(line.substr(0, line.find_first_of("#;")));
  if (entry.empty()) return std::nullopt;
  if (const auto network = masked_network(entry)) return *network;
  const auto range = parse_ip_range(entry);
  if (!range) return std::unexpected(range.error());
  return *range;
}

Result<ListText> read_list(const std::string& path) {
  const auto open = open_regular(path);
  if (!open) return std::unexpected(open.error());
  Reader reader(static_cast<std::size_t>(open->status.st_size));
  const auto buffer =
      std::make_unique<char[]>(kLookBehind + kListLineBytesMax + kChunkBytes + 1 + kLookAhead);
  char* const begin = buffer.get() + kLookBehind;
  std::size_t kept = 0;  // the beginning of a line whose end is yet to be read
  bool skipping = false;
  for (bool more = true; more;) {
    const auto size = read_some(open->file, begin + kept, kChunkBytes);
    if (!size)
      return fail_errno(ErrorCode::io, fmt::format("cannot read {}", path), size.error().sys_errno);
    char* end = begin + kept + *size;
    more = *size == kChunkBytes;
    if (!more && end != begin && end[-1] != '\n') *end++ = '\n';
    const std::string_view text(begin, end);
    std::size_t from = 0;
    if (skipping) {
      from = std::min(text.find('\n'), text.size() - 1) + 1;
      skipping = from == text.size() && !text.ends_with('\n');
    }
    const std::size_t to = std::max(text.rfind('\n') + 1, from);  // npos + 1 is 0
    reader.take(begin + from, begin + to);
    if (reader.entries() > kListEntriesMax)
      return fail(ErrorCode::list,
                  fmt::format("{} has more than {} entries", path, kListEntriesMax));
    kept = text.size() - to;
    if (kept > kListLineBytesMax) {
      reader.skip_line();
      skipping = true;
      kept = 0;
    }
    std::memmove(begin, begin + to, kept);
  }
  return std::move(reader).finish();
}

}  // namespace fw
