// Files that others than root can change.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/exposed.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/lists/lists.hpp"

namespace fw {
namespace {

constexpr const char* kUserOfUnits = "cloudron-fw";

/// Is it the user that the units run as? Asked only about what is not root's.
bool is_user_of_units(uid_t uid) {
  const passwd* const user = ::getpwnam(kUserOfUnits);
  return user != nullptr && user->pw_uid == uid;
}

enum class Of : std::uint8_t { root, units };

/// Why others can change it; nothing when they cannot, or it is not there.
std::optional<std::string> why_exposed(const std::string& path, Of owner) {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return {};  // it holds nothing
  // In a folder like /tmp nobody replaces what is another's.
  const bool kept = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  if ((status.st_mode & S_IWOTH) != 0 && !kept) {
    return fmt::format("any user can change {0}, and so the firewall: chmod o-w {0}", path);
  }
  if (status.st_uid == 0 || (owner == Of::units && is_user_of_units(status.st_uid))) return {};
  return fmt::format("{0} belongs to user {1}, who can so change the firewall: chown root {0}",
                     path, status.st_uid);
}

void look(const std::string& path, Of owner, const Location& where, std::vector<Problem>& out) {
  const auto absolute = std::filesystem::absolute(path).lexically_normal();
  for (const auto& one : {absolute, absolute.parent_path()}) {
    auto why = why_exposed(one.string(), owner);
    if (!why) continue;
    out.push_back({Severity::warning, std::move(*why), where});
    return;
  }
}

}  // namespace

std::vector<Problem> exposed_files(const Policy& policy, const std::string& policy_file,
                                   const std::string& state_dir) {
  std::vector<Problem> out;
  if (::geteuid() != 0) return out;
  if (!policy_file.empty()) look(policy_file, Of::root, {}, out);
  for (const List& list : policy.lists) {
    look(list_path(policy, list), Of::root, list.where, out);
  }
  look(state_dir, Of::units, {}, out);
  for (const char* name : {"state.db", "activity.db"}) {
    look(state_dir + "/" + name, Of::units, {}, out);
  }
  return out;
}

}  // namespace fw
