// The files of ours in nginx's folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/installed.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <span>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/base/text_diff.hpp"

namespace fw::tls {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = 4u << 20;

/// What the folder holds now; nothing where there is no folder.
Texts texts_in(const fs::path& folder) {
  Texts texts;
  std::error_code wrong;
  for (auto it = fs::recursive_directory_iterator(folder, wrong);
       !wrong && it != fs::recursive_directory_iterator(); it.increment(wrong)) {
    if (!it->is_regular_file(wrong)) continue;
    const auto text = read_text_file(it->path().string(), kFileBytesMax);
    texts[fs::relative(it->path(), folder, wrong).string()] = text.value_or("");
  }
  return texts;
}

/// Adds how one file differs, within the bounds of what is shown.
void add_difference(InstallDifference& to, const TextChange& change) {
  const auto lines = unified_diff(change);
  if (lines.empty()) return;
  to.changed.push_back(change.path);
  for (const std::string& line : lines) {
    if (to.lines.size() == kInstalledDiffLinesMax) {
      ++to.left_out;
      continue;
    }
    to.lines.push_back(printable(line, kInstalledLineShownMax));
  }
}

Result<void> copy_folder(const fs::path& from, const fs::path& to) {
  std::error_code wrong;
  fs::copy(from, to, fs::copy_options::recursive, wrong);
  if (wrong) return failed_on("copy", from, wrong.value());
  const File folder(::open(to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::syncfs(folder.fd()) != 0) return failed_on("write", to, errno);
  return {};
}

}  // namespace

std::unexpected<Error> failed_on(std::string_view what, const fs::path& path, int error) {
  return fail_errno(ErrorCode::io, fmt::format("cannot {} {}", what, path.string()), error);
}

void remove_tree(const fs::path& path) {
  std::error_code wrong;
  fs::remove_all(path, wrong);
}

Result<void> write_text(const fs::path& path, const std::string& text) {
  std::error_code wrong;
  fs::create_directories(path.parent_path(), wrong);
  if (wrong) return failed_on("make", path.parent_path(), wrong.value());
  const File folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return failed_on("open", path.parent_path(), errno);
  const auto bytes = std::as_bytes(std::span(text));
  if (auto written = replace_file(folder, path.filename().string(), {bytes}); !written)
    return written;
  // Readable by whoever may look at nginx's other files: it holds no secret.
  if (::fchmodat(folder.fd(), path.filename().c_str(), 0644, 0) != 0)
    return failed_on("change", path, errno);
  return sync_folder(folder);
}

Result<void> swap_in(const fs::path& fresh, const fs::path& place) {
  const unsigned how = fs::exists(place) ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), how) == 0) return {};
  return failed_on("replace", place, errno);
}

Files installed_files(const Places& places) {
  Files files{texts_in(places.files), {}};
  if (auto entry = read_text_file(places.entry.string(), kFileBytesMax)) files.entry = *entry;
  return files;
}

InstallDifference difference(const Places& places, const Files& before, const Files& after) {
  InstallDifference out;
  Texts all = before.texts;
  all.insert(after.texts.begin(), after.texts.end());
  const auto find = [](const Texts& texts, const std::string& name) {
    const auto found = texts.find(name);
    return found != texts.end() ? &found->second : nullptr;
  };
  for (const auto& [name, text] : all) {
    add_difference(
        out, {(places.files / name).string(), find(before.texts, name), find(after.texts, name)});
  }
  add_difference(out, {places.entry.string(), before.entry ? &*before.entry : nullptr,
                       after.entry ? &*after.entry : nullptr});
  std::ranges::sort(out.changed);
  return out;
}

Result<void> keep_files(const Places& places, const std::string& trial) {
  if (fs::exists(places.kept))
    return fail(ErrorCode::usage,
                places.kept.string() +
                    " has the sites from before an earlier trial; first: cloudron-fw rollback");
  remove_tree(places.kept_fresh);
  if (fs::exists(places.entry)) {
    const auto entry = read_text_file(places.entry.string(), kFileBytesMax);
    if (!entry) return failed_on("read", places.entry, entry.error());
    if (auto kept = write_text(places.kept_fresh / "entry", *entry); !kept) return kept;
  }
  if (auto named = write_text(places.kept_fresh / "trial", trial + "\n"); !named) return named;
  if (fs::exists(places.files)) {
    if (auto kept = copy_folder(places.files, places.kept_fresh / "files"); !kept) return kept;
  }
  if (auto moved = swap_in(places.kept_fresh, places.kept); !moved) return moved;
  const File folder(::open(places.nginx.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return sync_folder(folder);
}

Result<void> put_kept_files(const Places& places) {
  // The entry goes first and comes last: it names no file that is not there.
  const auto entry = read_text_file((places.kept / "entry").string(), kFileBytesMax);
  if (!entry) remove_tree(places.entry);
  remove_tree(places.fresh);
  if (fs::exists(places.kept / "files")) {
    if (auto copied = copy_folder(places.kept / "files", places.fresh); !copied) return copied;
    if (auto swapped = swap_in(places.fresh, places.files); !swapped) return swapped;
    remove_tree(places.fresh);
  } else if (!entry) {
    remove_tree(places.files);
  }
  return entry ? write_text(places.entry, *entry) : Result<void>();
}

}  // namespace fw::tls
