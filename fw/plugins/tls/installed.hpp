// The files of ours in nginx's folder: those in effect, and those that a trial replaced.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/plugins/plugin.hpp"

namespace fw::tls {

/// Where the files of one nginx lie. All of it is root's: what runs as another user never says
/// where root writes.
struct Places {
  explicit Places(const std::string& nginx_folder) : nginx(nginx_folder) {}

  std::string nginx;
  std::filesystem::path files = std::filesystem::path(nginx) / "cloudron-fw";
  std::filesystem::path fresh = std::filesystem::path(nginx) / ".cloudron-fw.new";
  /// There from before a change until nginx has been told of it: what a killed run left is tested.
  std::filesystem::path untested = std::filesystem::path(nginx) / ".cloudron-fw.untested";
  std::filesystem::path entry = std::filesystem::path(nginx) / "conf.d" / "cloudron-fw.conf";
  /// What was there before a trial: "files", "entry" (each absent where it was), and "trial".
  std::filesystem::path kept = std::filesystem::path(nginx) / ".cloudron-fw.before";
  std::filesystem::path kept_fresh = std::filesystem::path(nginx) / ".cloudron-fw.before.new";
};

/// By the name below the folder.
using Texts = std::map<std::string, std::string>;

struct Files {
  Texts texts;
  std::optional<std::string> entry;  ///< includes them; nothing: there is none

  bool operator==(const Files&) const = default;
};

/// What is in effect; empty where there is nothing. A file that cannot be read is an empty text.
Files installed_files(const Places& places);

/// The paths that differ, sorted, and how.
InstallDifference difference(const Places& places, const Files& before, const Files& after);

std::unexpected<Error> failed_on(std::string_view what, const std::filesystem::path& path,
                                 int error);
void remove_tree(const std::filesystem::path& path);
/// Durable, and readable for all: it holds no secret.
Result<void> write_text(const std::filesystem::path& path, const std::string& text);
/// Swaps two folders in one step, or moves the first where there is no second.
Result<void> swap_in(const std::filesystem::path& fresh, const std::filesystem::path& place);

/// Copies what is in effect, in the name of a trial. On disk when it returns; whole or not at all.
Result<void> keep_files(const Places& places, const std::string& trial);
/// Puts the copy in the place of what is in effect. May be done again until it is done: the copy
/// stays.
Result<void> put_kept_files(const Places& places);

}  // namespace fw::tls
