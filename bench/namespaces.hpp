// Two network namespaces joined by a veth pair: the host under test and who sends to it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Throws std::runtime_error with errno's reason: a bench has nothing to recover.
[[noreturn]] void fail(const std::string& what);

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// 203.0.113.1 and 2001:db8:ffff::1 are the host, .2 and ::2 the sender. The host reaches
/// 198.18.0.0/15, the rest of 203.0.113.0/24 and of 2001:db8::/32 through the sender, and the
/// sender owns 203.0.113.64/26 and 2001:db8:3::/48 (to connect from).
///
/// The namespaces have no name: they end with the process, however it ends.
struct NamespacePair {
  Fd host;
  Fd sender;
  Fd conntrack;  ///< a netlink socket of the host's namespace
  int host_index = 0;
  int sender_index = 0;
  std::array<std::uint8_t, 6> host_mac{2, 0, 0, 0, 0, 1};
  std::array<std::uint8_t, 6> sender_mac{2, 0, 0, 0, 0, 2};
};

inline constexpr const char* kHostDevice = "host0";

NamespacePair make_namespaces();

/// Moves the calling thread to one of its own.
Fd new_namespace();

/// With GRO on, a veth end of the thread's namespace has the NAPI context that takes XDP frames
/// from its peer.
void turn_on_gro(const char* device);

/// Moves the calling thread.
void enter(const Fd& name_space);

/// Runs a program in a namespace and returns what it printed; throws when it fails.
std::string run_in(const Fd& name_space, const std::vector<std::string>& command,
                   const std::string& input = {});

/// Forgets every connection of the host.
void flush_conntrack(const NamespacePair& pair);

/// Packets that came in on the host's interface. The calling thread must be in its namespace.
std::uint64_t received_packets();

}  // namespace bench
