// Reading apt.conf(5).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/host/apt_conf.hpp"

#include <algorithm>
#include <vector>

#include "fw/plugins/host/lower.hpp"

namespace fw::host_audit {
namespace {

/// Words, strings (in quotes), and the marks { } and ;
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  /// False at the end.
  bool next(std::string& word, char& mark) {
    skip();
    word.clear();
    mark = 0;
    if (text_.empty()) return false;
    if (text_[0] == '{' || text_[0] == '}' || text_[0] == ';') {
      mark = text_[0];
      text_.remove_prefix(1);
    } else if (text_[0] == '"') {
      mark = '"';
      const auto end = std::min(text_.find('"', 1), text_.size() - 1);
      word = text_.substr(1, end - 1);
      text_.remove_prefix(end + 1);
    } else {
      const auto end = std::min(text_.find_first_of(" \t\r\n\"{};"), text_.size());
      word = text_.substr(0, end);
      text_.remove_prefix(end);
    }
    return true;
  }

 private:
  void skip() {
    for (;;) {
      const auto begin = std::min(text_.find_first_not_of(" \t\r\n"), text_.size());
      text_.remove_prefix(begin);
      if (text_.starts_with("//") || text_.starts_with("#")) {
        text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
      } else if (text_.starts_with("/*")) {
        const auto end = text_.find("*/", 2);
        text_.remove_prefix(end == text_.npos ? text_.size() : end + 2);
      } else {
        return;
      }
    }
  }

  std::string_view text_;
};

}  // namespace

void read_apt_conf(std::string_view text, AptConf& into) {
  Tokens tokens(text);
  std::vector<std::string> scopes;  // of the blocks that are open, each whole
  std::string name;
  std::string word;
  std::string value;
  bool has_value = false;
  char mark = 0;
  const auto whole = [&] {
    return (scopes.empty() ? std::string() : scopes.back() + "::") + lower(name);
  };
  const auto end_of_statement = [&] {
    if (has_value && !name.empty() && !name.ends_with("::")) into[whole()] = value;
    name.clear();
    has_value = false;
  };
  while (tokens.next(word, mark)) {
    if (mark == '{') {
      scopes.push_back(name.empty() && !scopes.empty() ? scopes.back() : whole());
      name.clear();
      has_value = false;
    } else if (mark == '}') {
      end_of_statement();
      if (!scopes.empty()) scopes.pop_back();
    } else if (mark == ';') {
      end_of_statement();
    } else if (mark == '"' || !name.empty()) {
      value = word;
      has_value = true;
    } else {
      name = word;
    }
  }
  end_of_statement();
}

}  // namespace fw::host_audit
