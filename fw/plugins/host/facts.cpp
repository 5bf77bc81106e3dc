// The host's files.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/host/facts.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::host_audit {
namespace {

class Root {
 public:
  Root(std::string path, Facts& facts) : path_(std::move(path)), facts_(facts) {
    while (path_.ends_with('/')) path_.pop_back();
  }

  bool has(const std::string& name) const {
    struct stat found {};
    return ::stat((path_ + name).c_str(), &found) == 0;
  }
  std::optional<FileTime> changed(const std::string& name) const {
    struct stat found {};
    if (::stat((path_ + name).c_str(), &found) != 0) return {};
    return FileTime(std::chrono::seconds(found.st_mtim.tv_sec));
  }
  /// "" when it is not there; one that cannot be read, or is too long, is noted.
  std::string read(const std::string& name) const {
    std::ifstream file(path_ + name, std::ios::binary);
    if (!file) {
      if (errno != ENOENT) note(name, std::generic_category().message(errno));
      return {};
    }
    std::string text(kAuditedFileBytesMax + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > kAuditedFileBytesMax) {
      note(name, fmt::format("it is longer than {} bytes", kAuditedFileBytesMax));
      text.clear();
    }
    return text;
  }
  /// Names that fit, without the root, sorted as sshd and apt do.
  std::vector<std::string> matching(const std::string& pattern) const {
    glob_t found{};
    std::vector<std::string> names;
    if (::glob((path_ + pattern).c_str(), 0, nullptr, &found) == 0) {
      if (found.gl_pathc > kAuditedFilesMax) {
        note(pattern,
             fmt::format("only the first {} of its {} files", kAuditedFilesMax, found.gl_pathc));
      }
      for (std::size_t i = 0; i < std::min(found.gl_pathc, kAuditedFilesMax); ++i) {
        names.push_back(std::string(found.gl_pathv[i]).substr(path_.size()));
      }
    }
    ::globfree(&found);
    return names;
  }

 private:
  void note(const std::string& name, const std::string& why) const {
    if (facts_.unread.size() < kFindingsMax) {
      facts_.unread.push_back(printable(name + ": " + why, 160));
    }
  }

  std::string path_;
  Facts& facts_;
};

/// run-parts' rule, and apt's: letters, digits, - _ and . only; an ending other than .conf is
/// somebody's backup.
bool is_read_by_apt(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const auto dot = name.rfind('.');
  if (dot != std::string::npos && name.substr(dot) != ".conf") return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

void read_upgrades(const Root& root, Facts& facts) {
  facts.has_unattended_upgrades = root.has("/usr/bin/unattended-upgrade");
  for (const std::string& name : root.matching("/etc/apt/apt.conf.d/*")) {
    if (is_read_by_apt(name)) read_apt_conf(root.read(name), facts.apt);
  }
  read_apt_conf(root.read("/etc/apt/apt.conf"), facts.apt);
  for (const char* sign : {"/var/lib/apt/periodic/unattended-upgrades-stamp",
                           "/var/log/unattended-upgrades/unattended-upgrades.log"}) {
    const auto time = root.changed(sign);
    if (time && (!facts.upgrades_ran || *facts.upgrades_ran < *time)) facts.upgrades_ran = time;
  }
}

void read_sshd(const Root& root, Facts& facts) {
  facts.has_sshd = root.has("/usr/sbin/sshd");
  if (!facts.has_sshd) return;
  const Include include = [&](const std::string& pattern) {
    std::vector<IncludedFile> files;
    const std::string whole = pattern.starts_with('/') ? pattern : "/etc/ssh/" + pattern;
    for (const std::string& name : root.matching(whole)) files.push_back({name, root.read(name)});
    return files;
  };
  const std::string path = "/etc/ssh/sshd_config";
  facts.sshd = parse_sshd_config(path, root.read(path), include);
}

void read_reboot(const Root& root, Facts& facts) {
  facts.reboot_required = root.has("/run/reboot-required");
  const std::string text = root.read("/run/reboot-required.pkgs");
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    begin = end + 1;
    auto& all = facts.reboot_packages;
    if (name.empty() || std::find(all.begin(), all.end(), name) != all.end()) continue;
    if (all.size() >= kAuditedFilesMax) break;
    all.push_back(std::move(name));
  }
}

bool is_one(const char* path) {
  std::ifstream file(path);
  int value = 0;
  return file >> value && value != 0;
}

}  // namespace

Result<Facts> read_facts(const std::string& root) {
  struct stat found {};
  if (::stat(root.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return fail(ErrorCode::usage, fmt::format("{} is not a folder: --root takes that of a whole "
                                              "system",
                                              quote(root)));
  }
  Facts facts;
  const Root from(root, facts);
  read_upgrades(from, facts);
  read_sshd(from, facts);
  read_reboot(from, facts);
  if (root == "/") {
    facts.running = Running{is_one("/proc/sys/net/ipv4/ip_forward"),
                            is_one("/proc/sys/net/ipv6/conf/all/forwarding"), read_listeners(),
                            weak_settings()};
  }
  return facts;
}

}  // namespace fw::host_audit
