// From the text of an address list to spans, fast.
// SPDX-License-Identifier: GPL-2.0-or-later
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

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/lists/lists.hpp"

namespace fw {
namespace {

static_assert(std::endian::native == std::endian::little, "the byte tricks below count from low");

constexpr std::size_t kChunkBytes = 64 << 10;
// The byte tricks look at 16 bytes from a line's start, and at 4 before a number's end.
constexpr std::size_t kLookBehind = 4;
constexpr std::size_t kLookAhead = 16;
constexpr std::size_t kShortestIpv4Line = 8;  // "1.1.1.1\n"
// Host bits below such a short prefix are a slip rather than a habit.
constexpr int kWideBelow4 = 16;
constexpr int kWideBelow6 = 32;

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
    if (static_cast<int>(length) < kWideBelow4 && (span.first & host) != 0)
      return false;  // worth a word
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

Result<IpRange> parse_entry(std::string_view text) {
  if (const auto network = masked_network(text)) return *network;
  return parse_ip_range(text);
}

bool begins_with(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(), [](char wanted, char c) {
           return wanted == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
         });
}

std::string_view unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = trimmed(text.substr(1, text.size() - 2));
  }
  return text;
}

/// Takes the field off, and its separator.
std::string_view take_field(std::string_view& rest, std::string_view separators) {
  const std::size_t end = std::min(rest.find_first_of(separators), rest.size());
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return unquoted(field);
}

/// Does a table's first line begin so, which names its columns?
bool is_heading(std::string_view field) {
  constexpr std::string_view kHeadings[] = {"ip",   "address", "cidr",  "network",
                                            "host", "prefix",  "start", "source"};
  return std::ranges::any_of(kHeadings,
                             [&](std::string_view word) { return begins_with(field, word); });
}

/// What a web server's line refuses; nothing when it is none.
std::optional<std::string_view> refused_by(std::string_view entry) {
  for (const std::string_view words : {"deny from ", "require not ip ", "deny "}) {
    if (begins_with(entry, words)) return trimmed(entry.substr(words.size()));
  }
  return {};
}

/// The text of the first of such members of a JSON object, as published lists write it.
std::optional<std::string_view> address_in_json(std::string_view object) {
  for (const std::string_view key : {"\"cidr\"", "\"ip\"", "\"network\"", "\"prefix\""}) {
    const std::size_t at = object.find(key);
    if (at == object.npos) continue;
    const std::string_view rest = trimmed(object.substr(at + key.size()));
    if (!rest.starts_with(':')) continue;
    const std::string_view value = trimmed(rest.substr(1));
    const std::size_t end = value.find('"', 1);
    if (value.starts_with('"') && end != value.npos) return value.substr(1, end - 1);
  }
  return {};
}

bool is_whole(const IpRange& range) {
  return range.first == 0 && range.last == address_max(range.family);
}

/// Takes the lines of one file in turn.
class Reader {
 public:
  Reader(std::size_t file_bytes, const SparedSpace& spared) : spared_(spared) {
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
        if (*stop == '\n' && span.first != 0 && !spared_.may_touch(span)) {
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
    if (const auto object = trimmed(line); object.starts_with('{')) return take_object(object);
    const std::string_view entry = trimmed(line.substr(0, line.find_first_of("#;")));
    if (entry.empty()) return;
    if (const auto refused = refused_by(entry)) return take_words(*refused);
    const std::size_t separator = entry.find_first_of("\t,");
    if (separator == entry.npos) return take_entry(unquoted(entry));
    take_columns(entry, entry.find('\t') == entry.npos ? "," : "\t");
  }

  void take_object(std::string_view object) {
    if (const auto address = address_in_json(object)) return take_entry(*address);
    if (object.find("\"metadata\"") != object.npos) return;  // Spamhaus' last line
    bad("a JSON object without \"cidr\" or \"ip\"");
  }

  void take_words(std::string_view words) {
    while (!words.empty()) {
      const std::string_view word = take_field(words, " \t,");
      if (begins_with(word, "all")) {
        bad(whole(word));
      } else if (!word.empty()) {
        take_entry(word);
      }
    }
  }

  /// A table: the address is its first column. Two addresses and a prefix length are a range.
  void take_columns(std::string_view row, std::string_view separator) {
    const std::string_view first = take_field(row, separator);
    if (entries() == 0 && text_.bad_count == 0 && !parse_entry(first) && is_heading(first)) return;
    const std::string_view second = take_field(row, separator);
    if (!parse_ip(first) || !parse_ip(second)) return take_entry(first);
    const std::string_view third = take_field(row, separator);
    int length = 0;
    const auto [stop, error] = std::from_chars(third.begin(), third.end(), length);
    if (third.empty() || error != std::errc{} || stop != third.end()) {
      return bad("two addresses in one line: write a range as FIRST-LAST");
    }
    take_entry(fmt::format("{}-{}", first, second));
  }

  void take_entry(std::string_view entry) {
    const auto range = parse_entry(entry);
    if (!range) return bad(range.error().what);
    if (is_whole(*range)) return bad(whole(entry));
    if (auto wide = why_wide(entry, *range); wide && text_.wide.size() < kListBadLinesShown) {
      text_.wide.push_back({line_, std::move(*wide)});
    }
    if (const Spared* const spared = spared_.touched(*range)) {
      if (++text_.left_count <= kListBadLinesShown) {
        text_.left_out.push_back({line_, fmt::format("{}: {}", to_string(*range), spared->why)});
      }
    }
    if (range->family == Family::ipv6) {
      text_.set.v6.push_back({range->first, range->last});
    } else {
      text_.set.v4.push_back(
          {static_cast<std::uint32_t>(range->first), static_cast<std::uint32_t>(range->last)});
    }
  }

  void bad(std::string what) {
    if (++text_.bad_count <= kListBadLinesShown) text_.bad.push_back({line_, std::move(what)});
  }

  static std::string whole(std::string_view entry) {
    return fmt::format("{} is the whole internet: remove the line", printable(entry));
  }

  SparedIndex spared_;
  ListText text_;
  std::size_t line_ = 0;
};

}  // namespace

std::optional<std::string> why_wide(std::string_view text, const IpRange& range) {
  text = trimmed(text.substr(0, text.find_first_of("#;")));
  const auto ip = parse_ip(text.substr(0, text.find('/')));
  if (text.find('/') == text.npos || !ip || ip->bits == range.first) return {};
  const int bits = address_bits(range.family);
  const int wide = range.family == Family::ipv4 ? kWideBelow4 : kWideBelow6;
  if (range.last - range.first < U128{1} << (bits - wide)) return {};
  return fmt::format("{} means all of {}: write that, or the network you mean", text,
                     to_string(range));
}

Result<std::optional<IpRange>> parse_list_line(std::string_view line) {
  const std::string_view entry = trimmed(line.substr(0, line.find_first_of("#;")));
  if (entry.empty()) return std::nullopt;
  if (const auto network = masked_network(entry)) return *network;
  const auto range = parse_ip_range(entry);
  if (!range) return std::unexpected(range.error());
  return *range;
}

Result<ListText> read_list(const std::string& path, const SparedSpace& spared) {
  const auto open = open_regular(path);
  if (!open) return std::unexpected(open.error());
  Reader reader(static_cast<std::size_t>(open->status.st_size), spared);
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
