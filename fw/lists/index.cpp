// The index as text: a line for each thing, and a checksum as the last one.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/index.hpp"

#include <charconv>
#include <concepts>

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

namespace fw {
namespace {

constexpr std::string_view kTitle = "cloudron-fw address lists, version 2\n";

std::int64_t nanoseconds(const ::timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string checksum_line(std::string_view text) {
  return fmt::format("checksum {:016x}\n", XXH3_64bits(text.data(), text.size()));
}

/// Text up to the end of a line: paths may hold newlines.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\') {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && ++i < text.size()) {
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

/// The words of one line, taken from the left.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  bool take(std::string_view word) { return next() == word; }
  template <std::integral T>
  bool take(T& number) {
    const std::string_view word = next();
    const auto [stop, error] = std::from_chars(word.begin(), word.end(), number);
    return error == std::errc{} && stop == word.end();
  }
  bool take(Digest& digest) {
    const auto parsed = parse_digest(next());
    if (parsed) digest = *parsed;
    return parsed.has_value();
  }
  bool take(ListSize& size) {
    return take(size.addresses4) && take(size.networks4) && take(size.addresses6) &&
           take(size.networks6);
  }
  std::string rest() const { return unescaped(text_); }

 private:
  std::string_view next() {
    const std::size_t space = text_.find(' ');
    const std::string_view word = text_.substr(0, space);
    text_.remove_prefix(space == text_.npos ? text_.size() : space + 1);
    return word;
  }

  std::string_view text_;
};

std::string to_text(const ListSize& size) {
  return fmt::format("{} {} {} {}", size.addresses4, size.networks4, size.addresses6,
                     size.networks6);
}

bool parse_file(Line line, Index& index, RememberedFile*& current) {
  RememberedFile file;
  int whole = 0;
  int not_taken = 0;
  std::size_t too_few = 0;
  Stamp& stamp = file.stamp;
  if (!(line.take(stamp.device) && line.take(stamp.inode) && line.take(stamp.size) &&
        line.take(stamp.mtime_ns) && line.take(stamp.ctime_ns) && line.take(file.digest) &&
        line.take(file.entries) && line.take(whole) && line.take(file.bad_count) &&
        line.take(not_taken) && line.take(too_few) && line.take(file.spared) &&
        line.take(file.left_count))) {
    return false;
  }
  file.whole = whole != 0;
  if (not_taken != 0) file.not_taken = too_few;
  current = &(index.files[line.rest()] = std::move(file));
  return true;
}

bool parse_line(std::string_view text, Index& index, RememberedFile*& current) {
  Line line(text);
  if (text.starts_with("file ")) return line.take("file") && parse_file(line, index, current);
  if (text.starts_with("bad ")) {
    BadLine bad;
    if (current == nullptr || !line.take("bad") || !line.take(bad.line)) return false;
    bad.what = line.rest();
    current->bad.push_back(std::move(bad));
    return true;
  }
  if (text.starts_with("left ")) {
    BadLine left;
    if (current == nullptr || !line.take("left") || !line.take(left.line)) return false;
    left.what = line.rest();
    current->left_out.push_back(std::move(left));
    return true;
  }
  if (text.starts_with("wide ")) {
    BadLine wide;
    if (current == nullptr || !line.take("wide") || !line.take(wide.line)) return false;
    wide.what = line.rest();
    current->wide.push_back(std::move(wide));
    return true;
  }
  if (!(line.take("effective") && line.take(index.block) && line.take(index.block_size) &&
        line.take(index.allow) && line.take(index.allow_size))) {
    return false;
  }
  index.inputs = line.rest();
  return true;
}

}  // namespace

Stamp stamp_of(const struct ::stat& status) {
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

std::string to_text(const Index& index) {
  std::string text(kTitle);
  const auto add = std::back_inserter(text);
  for (const auto& [path, file] : index.files) {
    const Stamp& stamp = file.stamp;
    fmt::format_to(add, "file {} {} {} {} {} {} {} {} {} {} {} {} {} {}\n", stamp.device,
                   stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns, to_string(file.digest),
                   file.entries, file.whole ? 1 : 0, file.bad_count, file.not_taken ? 1 : 0,
                   file.not_taken.value_or(0), to_string(file.spared), file.left_count,
                   escaped(path));
    for (const BadLine& bad : file.bad)
      fmt::format_to(add, "bad {} {}\n", bad.line, escaped(bad.what));
    for (const BadLine& left : file.left_out)
      fmt::format_to(add, "left {} {}\n", left.line, escaped(left.what));
    for (const BadLine& wide : file.wide)
      fmt::format_to(add, "wide {} {}\n", wide.line, escaped(wide.what));
  }
  fmt::format_to(add, "effective {} {} {} {} {}\n", to_string(index.block),
                 to_text(index.block_size), to_string(index.allow), to_text(index.allow_size),
                 index.inputs);
  return text + checksum_line(text);
}

std::optional<Index> parse_index(std::string_view text) {
  const std::size_t checksum_bytes = checksum_line("").size();
  if (!text.starts_with(kTitle) || text.size() < kTitle.size() + checksum_bytes) return {};
  const std::string_view body = text.substr(0, text.size() - checksum_bytes);
  if (text.substr(body.size()) != checksum_line(body)) return {};
  Index index;
  RememberedFile* current = nullptr;
  for (std::size_t begin = kTitle.size(), end; begin < body.size(); begin = end + 1) {
    end = body.find('\n', begin);
    if (end == body.npos || !parse_line(body.substr(begin, end - begin), index, current)) return {};
  }
  return index;
}

}  // namespace fw
