// The policy that was last in force.
#include "fw/host/last_good.hpp"

#include <cerrno>
#include <span>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/lists/file.hpp"

namespace fw {
namespace {

constexpr const char* kName = "last-good.toml";
// The last line: list files are named relative to the policy's own folder.
constexpr const char* kFrom = "\n# last applied from ";

std::optional<std::string> read_file(const std::string& path) {
  const auto open = open_regular(path);
  if (!open || static_cast<std::size_t>(open->status.st_size) > 2 * kPolicyBytesMax) return {};
  std::string text(static_cast<std::size_t>(open->status.st_size), '\0');
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size || *size != text.size()) return {};
  return text;
}

}  // namespace

Result<void> save_last_good(const std::string& state_dir, const std::string& policy_path,
                            const std::string& text) {
  const std::string whole = text + kFrom + policy_path + "\n";
  if (read_file(state_dir + "/" + kName) == whole) return {};
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  if (auto done = replace_file(*folder, kName, {std::as_bytes(std::span(whole))}); !done) {
    return done;
  }
  return sync_folder(*folder);
}

Result<void> forget_last_good(const std::string& state_dir) {
  const std::string path = state_dir + "/" + kName;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(ErrorCode::io, fmt::format("cannot remove {}", path), errno);
  }
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  return sync_folder(*folder);
}

std::optional<Policy> read_last_good(const std::string& state_dir) {
  const auto whole = read_file(state_dir + "/" + kName);
  if (!whole) return {};
  const auto from = whole->rfind(kFrom);
  if (from == std::string::npos || whole->back() != '\n') return {};
  const auto path_at = from + std::string_view(kFrom).size();
  const std::string path = whole->substr(path_at, whole->size() - path_at - 1);
  Parsed parsed = parse_policy(std::string_view(*whole).substr(0, from), path);
  if (!parsed.ok()) return {};
  return std::move(parsed.policy);
}

}  // namespace fw
