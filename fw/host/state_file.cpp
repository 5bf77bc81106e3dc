// Small files of the state folder.
#include "fw/host/state_file.hpp"

#include <cerrno>
#include <span>

#include <fmt/format.h>
#include <unistd.h>

#include "fw/lists/file.hpp"

namespace fw {

std::optional<std::string> read_state_file(const std::string& state_dir, const char* name,
                                           std::size_t most) {
  const auto open = open_regular(state_dir + "/" + name);
  if (!open || static_cast<std::size_t>(open->status.st_size) > most) return {};
  std::string text(static_cast<std::size_t>(open->status.st_size), '\0');
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size || *size != text.size()) return {};
  return text;
}

Result<void> write_state_file(const std::string& state_dir, const char* name,
                              const std::string& text) {
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  if (auto done = replace_file(*folder, name, {std::as_bytes(std::span(text))}); !done) {
    return done;
  }
  return sync_folder(*folder);
}

Result<void> remove_state_file(const std::string& state_dir, const char* name) {
  const std::string path = state_dir + "/" + name;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(ErrorCode::io, fmt::format("cannot remove {}", path), errno);
  }
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  return sync_folder(*folder);
}

}  // namespace fw
