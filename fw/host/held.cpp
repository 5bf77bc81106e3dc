// What the kernel was last seen to hold.
#include "fw/host/held.hpp"

#include <fstream>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>

#include "chains/diff.hpp"
#include "chains/netlink/encode.hpp"
#include "fw/host/apply.hpp"
#include "fw/lists/file.hpp"

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
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  const std::uint64_t cookie = namespace_cookie();
  if (!(file >> boot) || cookie == 0) return {};
  return fmt::format("{} {}", boot, cookie);
}

std::string note(const std::string& kernel, std::uint32_t generation, const Digest& target) {
  return fmt::format("{} {} {}\n", kernel, generation, to_string(target));
}

}  // namespace

Digest fingerprint(const Target& target) {
  chains::Batch batch(0);
  chains::encode(chains::diff(nullptr, target.ruleset), batch);
  std::string outside = fmt::format("{}", target.around.block_generation);
  for (const chains::Device& device : target.around.devices) {
    outside += fmt::format(" {} {}", device.name, device.index);
  }
  std::vector<Bytes> parts{std::as_bytes(std::span(outside))};
  for (const iovec& piece : batch.pieces()) {
    parts.emplace_back(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
  }
  return digest_bytes(parts);
}

Held::Held(const std::string& state_dir) : path_(state_dir + "/held"), kernel_(this_kernel()) {}

bool Held::is(const Digest& target, std::uint32_t generation) const {
  if (kernel_.empty()) return false;
  std::ifstream file(path_, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return text == note(kernel_, generation, target);
}

void Held::remember(const Digest& target, std::uint32_t generation) const {
  if (kernel_.empty() || is(target, generation)) return;
  std::ofstream(path_, std::ios::binary) << note(kernel_, generation, target);
}

}  // namespace fw
