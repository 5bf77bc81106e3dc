// nginx's configuration, read as nginx reads it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/nginx_file.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <glob.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

class NginxParser {
 public:
  explicit NginxParser(std::string_view text) : text_(text) {}

  Result<NginxDirectives> parse() {
    auto all = parse_block(0);
    if (all && kind_ == Kind::close) return wrong("unexpected \"}\"");
    return all;
  }

 private:
  enum class Kind : std::uint8_t { word, end, open, close, file_end, broken };

  std::unexpected<Error> wrong(const std::string& what) const {
    return fail(ErrorCode::policy, fmt::format("line {}: {}", line_, what));
  }

  /// Up to the end of the block, or of the file.
  Result<NginxDirectives> parse_block(int depth) {
    if (depth > kNginxDepthMax) return wrong("too many blocks in each other");
    NginxDirectives all;
    std::vector<std::string> words;
    for (;;) {
      kind_ = next();
      if (kind_ == Kind::broken) return wrong("a quote has no end");
      if (kind_ == Kind::word) {
        words.push_back(std::move(word_));
        continue;
      }
      if (kind_ == Kind::close || kind_ == Kind::file_end) {
        if (!words.empty()) return wrong("a directive has no end");
        if (kind_ == Kind::file_end && depth > 0) return wrong("a block has no end");
        return all;
      }
      if (words.empty()) return wrong("a directive has no name");
      NginxDirective one{std::exchange(words, {})};
      if (kind_ == Kind::open) {
        auto inside = parse_block(depth + 1);
        if (!inside) return inside;
        one.block = std::move(*inside);
      }
      all.push_back(std::move(one));
    }
  }

  void skip_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (is_space(text_[at_])) {
        line_ += text_[at_++] == '\n';
      } else {
        return;
      }
    }
  }

  Kind next() {
    skip_space();
    if (at_ == text_.size()) return Kind::file_end;
    switch (text_[at_]) {
      case ';':
        return ++at_, Kind::end;
      case '{':
        return ++at_, Kind::open;
      case '}':
        return ++at_, Kind::close;
      case '"':
      case '\'':
        return quoted(text_[at_]);
      default:
        return plain();
    }
  }

  /// A backslash keeps the next character; "${name}" is part of a word.
  Kind plain() {
    word_.clear();
    while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != ';') {
      const bool variable = text_[at_] == '{' && word_.ends_with('$');
      if (text_[at_] == '{' && !variable) break;
      if (variable) {
        while (at_ < text_.size() && text_[at_] != '}' && !is_space(text_[at_])) take();
        if (at_ < text_.size() && text_[at_] == '}') take();
        continue;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) take();
      take();
    }
    return Kind::word;
  }

  Kind quoted(char quote) {
    word_.clear();
    for (++at_; at_ < text_.size(); take()) {
      if (text_[at_] == quote) return ++at_, Kind::word;
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    }
    return Kind::broken;
  }

  void take() {
    line_ += text_[at_] == '\n';
    word_ += text_[at_++];
  }

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  Kind kind_ = Kind::file_end;
  std::string word_;
};

class NginxReader {
 public:
  explicit NginxReader(std::string folder) : folder_(std::move(folder)) {}

  Result<NginxConfig> read() {
    auto all = read_file(folder_ + "/nginx.conf", 0);
    if (!all) return std::unexpected(all.error());
    return NginxConfig{std::move(*all), std::move(unread_)};
  }

 private:
  Result<NginxDirectives> read_file(const std::string& path, int depth) {
    const auto text = read_text_file(path, kAuditedFileBytesMax);
    if (!text) return fail(ErrorCode::io, fmt::format("{} {}", path, why_unreadable(text.error())));
    if (text->size() > kAuditedFileBytesMax) return fail(ErrorCode::io, path + " is too large");
    auto all = parse_nginx(*text);
    if (!all) {
      Error error = all.error();
      error.what = path + ", " + error.what;
      return std::unexpected(std::move(error));
    }
    return with_included(std::move(*all), depth);
  }

  NginxDirectives with_included(NginxDirectives from, int depth) {
    NginxDirectives to;
    for (NginxDirective& one : from) {
      if (one.words.front() == "include" && one.words.size() == 2) {
        for (NginxDirective& more : included(one.words[1], depth)) to.push_back(std::move(more));
        continue;
      }
      one.block = with_included(std::move(one.block), depth);
      to.push_back(std::move(one));
    }
    return to;
  }

  NginxDirectives included(const std::string& pattern, int depth) {
    NginxDirectives to;
    const std::string path = pattern.starts_with('/') ? pattern : folder_ + "/" + pattern;
    if (depth == kIncludeDepthMax) {
      note(fail(ErrorCode::io, path + " is included too deeply").error());
      return to;
    }
    for (const std::string& file : matching(path)) {
      if (++files_ > kAuditedFilesMax) {
        if (files_ == kAuditedFilesMax + 1)
          note(fail(ErrorCode::io, folder_ + " includes too many files").error());
        return to;
      }
      auto more = read_file(file, depth + 1);
      if (!more) {
        note(more.error());
        continue;
      }
      for (NginxDirective& one : *more) to.push_back(std::move(one));
    }
    return to;
  }

  void note(Error why) {
    if (unread_.size() < kFindingsMax) unread_.push_back(std::move(why));
  }

  /// A path without a pattern is meant even where nothing is.
  static std::vector<std::string> matching(const std::string& path) {
    if (path.find_first_of("*?[") == path.npos) return {path};
    std::vector<std::string> files;
    glob_t found{};
    if (::glob(path.c_str(), 0, nullptr, &found) == 0)
      files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    return files;
  }

  std::string folder_;
  std::size_t files_ = 0;
  std::vector<Error> unread_{};
};

}  // namespace

Result<NginxDirectives> parse_nginx(std::string_view text) { return NginxParser(text).parse(); }

Result<NginxConfig> read_nginx(const std::string& folder) { return NginxReader(folder).read(); }

}  // namespace fw::tls
