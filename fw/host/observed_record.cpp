// What the kernel was last seen to hold.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/observed_record.hpp"

#include <array>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/owner.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/manifest.hpp"
#include "fw/host/trial_record.hpp"

namespace fw {
namespace {

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // since Linux 5.14
#endif

/// A number that no other network namespace has had since the machine booted; 0: not to be had.
std::uint64_t namespace_cookie() {
  const File socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (!socket || getsockopt(socket.fd(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) {
    return 0;
  }
  return cookie;
}

std::string this_kernel() {
  const std::string boot = this_moment().boot;
  const std::uint64_t cookie = namespace_cookie();
  if (boot.empty() || cookie == 0) return {};
  return fmt::format("{} {}", boot, cookie);
}

constexpr std::size_t kNoteMax = 256;  // bytes; a note has half of them

std::string note(const std::string& kernel, std::uint32_t generation, const Digest& target) {
  return fmt::format("{} {} {} ", kernel, generation, to_string(target));
}

}  // namespace

Digest fingerprint(const Target& target, const chains::Batch& creation) {
  std::string outside = fmt::format("{}", target.facts.block_generation);
  for (const chains::Device& device : target.facts.devices) {
    outside += fmt::format(" {} {}", device.name, device.index);
  }
  std::vector<FileBytes> parts{std::as_bytes(std::span(outside))};
  for (const iovec& piece : creation.pieces()) {
    parts.emplace_back(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
  }
  return digest_bytes(parts);
}

ObservedRecord::ObservedRecord(const std::string& state_dir)
    : path_(state_dir + "/observed"), kernel_(this_kernel()) {}

bool ObservedRecord::is(const Digest& target, std::uint32_t generation, WallTime began) const {
  if (kernel_.empty()) return false;
  const auto open = open_regular(path_);
  if (!open) return false;
  std::array<char, kNoteMax> text;
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size) return false;
  std::string_view rest(text.data(), *size);
  const std::string wanted = note(kernel_, generation, target);
  if (!rest.starts_with(wanted) || !rest.ends_with('\n')) return false;
  rest = rest.substr(wanted.size(), rest.size() - wanted.size() - 1);
  const auto then = parse_began(rest);
  return then && !clock_was_set(*then, began);
}

void ObservedRecord::remember(const Digest& target, std::uint32_t generation,
                              WallTime began) const {
  if (kernel_.empty() || is(target, generation, began)) return;
  // Whatever stands in its place is neither waited for nor followed.
  const File file(
      ::open(path_.c_str(),
             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct ::stat status {};
  if (!file || ::fstat(file.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  give_to_owner(file.fd(), std::filesystem::path(path_).parent_path());
  const std::string text =
      fmt::format("{}{}\n", note(kernel_, generation, target), began.time_since_epoch().count());
  [[maybe_unused]] const ::ssize_t written = ::write(file.fd(), text.data(), text.size());
}

}  // namespace fw
