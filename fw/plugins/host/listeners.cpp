// Listening sockets, and their programs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>

#include <dirent.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/host/facts.hpp"

namespace fw::host_audit {
namespace {

struct Folder {
  explicit Folder(const std::string& path) : handle(::opendir(path.c_str())) {}
  ~Folder() {
    if (handle != nullptr) ::closedir(handle);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const char* next() const {
    const dirent* const entry = handle == nullptr ? nullptr : ::readdir(handle);
    return entry == nullptr ? nullptr : entry->d_name;
  }
  DIR* handle;
};

template <class T>
bool parse(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

/// "socket:[12345]"
std::uint64_t socket_inode(const std::string& link) {
  char target[64];
  const auto length = ::readlink(link.c_str(), target, sizeof target);
  std::string_view text(target, length < 0 ? 0 : static_cast<std::size_t>(length));
  std::uint64_t inode = 0;
  if (!text.starts_with("socket:[") || !text.ends_with(']')) return 0;
  text.remove_prefix(8);
  text.remove_suffix(1);
  return parse(text, inode) ? inode : 0;
}

std::string program_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

/// Fills in who has each socket: the first process that is found.
void name_programs(std::multimap<std::uint64_t, Listener>& by_inode) {
  const Folder processes("/proc");
  std::size_t looked_at = 0;
  while (const char* name = processes.next()) {
    int pid = 0;
    if (!parse(std::string_view(name), pid)) continue;
    if (++looked_at > kProcessesMax) return;
    const std::string path = "/proc/" + std::to_string(pid) + "/fd";
    const Folder files(path);
    while (const char* file = files.next()) {
      const std::uint64_t inode = socket_inode(path + "/" + file);
      if (inode == 0) continue;
      const auto [begin, end] = by_inode.equal_range(inode);
      for (auto it = begin; it != end; ++it) {
        if (it->second.pid != 0) continue;
        it->second.pid = pid;
        it->second.program = program_of(pid);
      }
    }
  }
}

}  // namespace

std::vector<Listener> read_listeners() {
  std::multimap<std::uint64_t, Listener> by_inode;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    read_tcp_sockets(family, [&](const TcpSocket& socket) {
      if (socket.state != TcpState::listen) return false;
      by_inode.emplace(socket.inode,
                       Listener{Protocol::tcp, socket.ends.local, socket.ends.local_port, {}, 0});
      return by_inode.size() < kListenersMax;
    });
    read_udp_sockets(family, [&](const TcpSocket& socket) {
      if (socket.ends.remote_port == 0) {
        by_inode.emplace(socket.inode,
                         Listener{Protocol::udp, socket.ends.local, socket.ends.local_port, {}, 0});
      }
      return by_inode.size() < kListenersMax;
    });
  }
  name_programs(by_inode);
  std::vector<Listener> all;
  for (auto& [inode, listener] : by_inode) all.push_back(std::move(listener));
  std::stable_sort(all.begin(), all.end(), [](const Listener& a, const Listener& b) {
    return std::pair(a.protocol, a.port) < std::pair(b.protocol, b.port);
  });
  return all;
}

}  // namespace fw::host_audit
