// The lines of a configuration with blocks in braces.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace fw::tls {

class Lines {
 public:
  explicit Lines(std::string_view indent = "    ") : indent_(indent) {}

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    put(fmt::format(format, std::forward<Args>(args)...));
  }
  /// "location /" and an open brace; what follows stands inside.
  template <class... Args>
  void open(fmt::format_string<Args...> format, Args&&... args) {
    put(fmt::format(format, std::forward<Args>(args)...) + " {");
    ++depth_;
  }
  void close() {
    --depth_;
    put("}");
  }
  std::string text() && { return std::move(text_); }

 private:
  void put(std::string_view line) {
    for (std::size_t i = 0; i < depth_ && !line.empty(); ++i) text_.append(indent_);
    text_.append(line).append("\n");
  }

  std::string_view indent_;
  std::string text_{};
  std::size_t depth_ = 0;
};

/// A word of nginx's language. The text has no '$', which cannot be quoted (words.hpp).
inline std::string nginx_word(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace fw::tls
