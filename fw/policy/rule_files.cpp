// Files of an admin's own rules, as text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/rule_files.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

namespace fs = std::filesystem;

// No line of a policy that somebody writes begins so.
constexpr std::string_view kFileLine = "\n#%rules ";
constexpr std::string_view kTextLine = "#%";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::unexpected<Error> unreadable(const std::string& path, std::string_view why) {
  return fail(ErrorCode::policy, fmt::format("cannot be read: {}; fix it or move it away", why),
              {path, 0, 0});
}

}  // namespace

Result<std::vector<RuleFile>> read_rule_files(const std::string& policy_path) {
  const std::string folder = (fs::path(policy_path).parent_path() / "rules.d").string();
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() == ".nft" && !path.filename().string().starts_with('.'))
      paths.push_back(path.string());
    if (paths.size() > kRuleFilesMax)
      return fail(ErrorCode::policy, fmt::format("holds more than {} rule files", kRuleFilesMax),
                  {folder, 0, 0});
  }
  if (error == std::errc::no_such_file_or_directory) return std::vector<RuleFile>{};
  if (error) return unreadable(folder, error.message());
  std::ranges::sort(paths);
  std::vector<RuleFile> files;
  std::size_t bytes = 0;
  for (const std::string& path : paths) {
    auto text = read_text_file(path, kRuleBytesMax);
    if (!text) return unreadable(path, why_unreadable(text.error()));
    bytes += text->size();
    if (bytes > kRuleBytesMax)
      return unreadable(
          path, fmt::format("all rule files together are larger than {} KiB", kRuleBytesMax >> 10));
    if (text->find('\0') != std::string::npos) return unreadable(path, "it contains a NUL");
    if (text->starts_with(kByteOrderMark)) text->erase(0, kByteOrderMark.size());
    if (!text->empty() && text->back() != '\n') *text += '\n';
    files.push_back({path, std::move(*text)});
  }
  return files;
}

std::string with_rules(std::string policy_text, const std::vector<RuleFile>& files) {
  for (const RuleFile& file : files) {
    policy_text += fmt::format("{}{}\n", kFileLine, file.path);
    std::string_view left = file.text;
    while (!left.empty()) {
      const std::size_t end = std::min(left.find('\n'), left.size());
      policy_text += fmt::format("{}{}\n", kTextLine, left.substr(0, end));
      left.remove_prefix(std::min(end + 1, left.size()));
    }
  }
  return policy_text;
}

std::pair<std::string_view, std::vector<RuleFile>> without_rules(std::string_view text) {
  const std::size_t begin = text.find(kFileLine);
  std::vector<RuleFile> files;
  if (begin == text.npos) return {text, files};
  std::string_view left = text.substr(begin + 1);
  const std::string_view file_line = kFileLine.substr(1);
  while (!left.empty()) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    std::string_view line = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    if (line.starts_with(file_line)) {
      files.push_back({std::string(line.substr(file_line.size())), {}});
    } else if (line.starts_with(kTextLine) && !files.empty()) {
      files.back().text += fmt::format("{}\n", line.substr(kTextLine.size()));
    }
  }
  return {text.substr(0, begin), std::move(files)};
}

}  // namespace fw
