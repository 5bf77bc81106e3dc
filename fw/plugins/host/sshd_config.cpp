// Reading sshd_config(5). sshd -T would need root and host keys, and the product runs no programs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/host/sshd_config.hpp"

#include <algorithm>

#include "fw/base/limits.hpp"
#include "fw/plugins/host/lower.hpp"

namespace fw::host_audit {
namespace {

/// Words of a line: by blanks, in quotes or not; one = may stand behind the first.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const auto blanks = words.size() == 1 ? " \t\r=" : " \t\r";
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    if (line.empty() || line[0] == '#') break;
    if (line[0] == '"') {
      const auto end = std::min(line.find('"', 1), line.size());
      words.emplace_back(line.substr(1, end - 1));
      line.remove_prefix(std::min(end + 1, line.size()));
    } else {
      const auto end =
          std::min(line.find_first_of(words.empty() ? " \t\r=" : " \t\r"), line.size());
      words.emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
  }
  return words;
}

class Reader {
 public:
  explicit Reader(const Include& include) : include_(include) {}

  /// A Match block of an included file ends with that file, and the one around it goes on.
  void read(const std::string& path, std::string_view text, const std::string& match_around,
            int depth) {
    std::string match = match_around;
    int number = 0;
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      ++number;
      line(words_of(text.substr(0, end)), {path, number, 0}, match, match_around, depth);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  SshdConfig take() { return std::move(config_); }

 private:
  void line(const std::vector<std::string>& words, const Location& where, std::string& match,
            const std::string& match_around, int depth) {
    if (words.size() < 2) return;
    const std::string key = lower(words[0]);
    const SshdSetting setting{lower(words[1]), where, match};
    if (key == "match") {
      begin_match(words, match, match_around);
    } else if (key == "include") {
      if (depth >= kIncludeDepthMax) return;
      for (auto pattern = words.begin() + 1; pattern != words.end(); ++pattern) {
        for (const IncludedFile& file : include_(*pattern)) {
          read(file.path, file.text, match, depth + 1);
        }
      }
    } else if (key == "permitrootlogin") {
      config_.permit_root_login.push_back(setting);
    } else if (key == "passwordauthentication") {
      config_.password_authentication.push_back(setting);
    } else if (key == "kbdinteractiveauthentication" || key == "challengeresponseauthentication") {
      config_.keyboard_interactive.push_back(setting);
    }
  }
  static void begin_match(const std::vector<std::string>& words, std::string& match,
                          const std::string& match_around) {
    match.clear();
    if (lower(words[1]) == "all") {
      match = match_around;
      return;
    }
    for (std::size_t i = 1; i < words.size(); ++i) match += (i > 1 ? " " : "") + words[i];
    if (!match_around.empty()) match = match_around + " " + match;
  }

  const Include& include_;
  SshdConfig config_;
};

/// The first that stands for all connections, else sshd's default.
SshdSetting of_all(const std::vector<SshdSetting>& settings, const char* standard) {
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [](const SshdSetting& s) { return s.match.empty(); });
  return found == settings.end() ? SshdSetting{standard, {}, {}} : *found;
}

/// The first that says so for some connections.
const SshdSetting* of_some(const std::vector<SshdSetting>& settings) {
  const auto found = std::find_if(settings.begin(), settings.end(), [](const SshdSetting& s) {
    return !s.match.empty() && s.value == "yes";
  });
  return found == settings.end() ? nullptr : &*found;
}

}  // namespace

SshdConfig parse_sshd_config(const std::string& path, std::string_view text,
                             const Include& include) {
  Reader reader(include);
  reader.read(path, text, {}, 0);
  return reader.take();
}

std::optional<SshdSetting> root_by_password(const SshdConfig& config) {
  const SshdSetting root = of_all(config.permit_root_login, "prohibit-password");
  const SshdSetting password = of_all(config.password_authentication, "yes");
  const SshdSetting keyboard = of_all(config.keyboard_interactive, "yes");
  const bool passwords = password.value == "yes" || keyboard.value == "yes";
  if (root.value == "yes" && passwords) return root;
  const SshdSetting* some_password = of_some(config.password_authentication);
  if (some_password == nullptr) some_password = of_some(config.keyboard_interactive);
  if (root.value == "yes" && some_password != nullptr) return *some_password;
  const SshdSetting* const some_root = of_some(config.permit_root_login);
  if (some_root != nullptr && (passwords || some_password != nullptr)) return *some_root;
  return std::nullopt;
}

}  // namespace fw::host_audit
