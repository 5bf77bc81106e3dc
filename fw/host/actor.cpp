// Who asked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/actor.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <dirent.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fw/base/endpoint.hpp"
#include "fw/base/file.hpp"
#include "fw/host/tcp_sockets.hpp"

namespace fw {
namespace {

constexpr std::uint32_t kNoLogin = ~std::uint32_t{0};
constexpr int kAncestorsMax =
    64;  // a chain that changes in the meantime must not go round for ever

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return {};
  return value;
}

/// What /proc/PID/stat says (proc_pid_stat(5)).
struct Stat {
  std::string parent;
  unsigned tty = 0;
  std::uint64_t started = 0;  ///< clock ticks after boot
};

std::optional<Stat> read_stat(const std::string& process) {
  const std::string text = read_kernel_file("/proc/" + process + "/stat");
  const auto name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return {};
  std::vector<std::string_view> fields;
  for (std::string_view rest = std::string_view(text).substr(name_end + 1);;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \n"), rest.size()));
    if (rest.empty()) break;
    fields.push_back(rest.substr(0, rest.find_first_of(" \n")));
    rest.remove_prefix(fields.back().size());
  }
  if (fields.size() < 20) return {};
  return Stat{std::string(fields[1]), number<unsigned>(fields[4]).value_or(0),
              number<std::uint64_t>(fields[19]).value_or(0)};
}

std::uint32_t login_of(const std::string& process) {
  return number<std::uint32_t>(read_kernel_file("/proc/" + process + "/loginuid"))
      .value_or(kNoLogin);
}

/// The process and its ancestors, nearest first, as far as they can be seen, without init: it
/// serves no terminal, and has hundreds of sockets.
std::vector<std::string> ancestry(const std::string& process) {
  std::vector<std::string> line;
  for (std::string one = process; one != "1" && one != "0" && line.size() < kAncestorsMax;) {
    const auto stat = read_stat(one);
    if (!stat) break;
    line.push_back(one);
    one = stat->parent;
  }
  return line;
}

/// The connections that may be sessions, by the inode of their socket; read when first asked for.
class Incoming {
 public:
  const std::unordered_map<std::uint64_t, Session>& of(Family family) {
    auto& table = tables_[family == Family::ipv4 ? 0 : 1];
    if (!table) table = read(family);
    return *table;
  }

 private:
  using Table = std::unordered_map<std::uint64_t, Session>;

  static Table read(Family family) {
    Table table;
    std::unordered_set<std::uint16_t> listened;
    read_tcp_sockets(family, [&](const TcpSocket& socket) {
      const Session& ends = socket.ends;
      if (socket.state == TcpState::listen) listened.insert(ends.local_port);
      if (socket.state == TcpState::established && !is_loopback(ends.remote)) {
        table.emplace(socket.inode, ends);
      }
      return true;
    });
    std::erase_if(table, [&](const auto& one) {
      return !listened.contains(one.second.local_port);  // it goes out
    });
    return table;
  }

  std::array<std::optional<Table>, 2> tables_;
};

/// Servers of SSH by their names; without a terminal nobody else's connection is a session. A web
/// server that blocks an attacker has that attacker's connection open, and must not be reported to
/// wait.
bool is_ssh_server(const std::string& process) {
  const std::string name = read_kernel_file("/proc/" + process + "/comm");
  return name.starts_with("sshd") || name.starts_with("dropbear");
}

/// The session whose socket a process has open.
std::optional<Session> by_socket(const std::string& process, Incoming& incoming) {
  const std::string folder = "/proc/" + process + "/fd/";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (!open) return {};
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string path = folder + entry->d_name;
    // Only who has a TCP socket makes the kernel list them all.
    std::array<char, 16> protocol{};
    if (::getxattr(path.c_str(), "system.sockprotoname", protocol.data(), protocol.size() - 1) < 0)
      continue;
    const std::string_view name = protocol.data();
    if (name != "TCP" && name != "TCPv6") continue;
    struct ::stat status {};
    if (::stat(path.c_str(), &status) != 0) continue;
    const auto& sessions = incoming.of(name == "TCP" ? Family::ipv4 : Family::ipv6);
    if (const auto found = sessions.find(status.st_ino); found != sessions.end()) {
      return found->second;
    }
  }
  return {};
}

/// "client port server port", as sshd tells it.
std::optional<Session> parse_session(std::string_view text) {
  std::array<std::string_view, 4> words;
  for (std::string_view& word : words) {
    word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
  }
  const auto remote = parse_ip(words[0]);
  const auto local = parse_ip(words[2]);
  const auto remote_port = number<std::uint16_t>(words[1]);
  const auto local_port = number<std::uint16_t>(words[3]);
  if (!remote || !local || !remote_port || !local_port) return {};
  return Session{*local, *local_port, *remote, *remote_port};
}

/// The session that a process knows of, if there still is one.
std::optional<Session> by_environment(const std::string& process, Incoming& incoming) {
  constexpr std::string_view kName = "SSH_CONNECTION=";
  const std::string environment = read_kernel_file("/proc/" + process + "/environ");
  for (std::string_view rest = environment; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    if (!one.starts_with(kName)) continue;
    const auto told = parse_session(one.substr(kName.size()));
    for (const Family family : {Family::ipv4, Family::ipv6}) {  // IPv4 may be on an IPv6 socket
      for (const auto& [inode, session] : incoming.of(family)) {
        if (session == told) return session;
      }
    }
  }
  return {};
}

/// Source: Documentation/admin-guide/devices.txt of the kernel.
bool is_pseudoterminal(unsigned tty) { return major(tty) == 136; }

/// The latest session of whoever logged in.
std::optional<Session> by_login(std::uint32_t login, Incoming& incoming) {
  std::optional<Session> latest;
  std::uint64_t latest_start = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string process = entry.path().filename();
    if (!number<unsigned>(process) || login_of(process) != login) continue;
    const auto stat = read_stat(process);
    if (!stat || (latest && stat->started < latest_start)) continue;
    if (const auto session = by_socket(process, incoming)) {
      latest = session;
      latest_start = stat->started;
    }
  }
  return latest;
}

std::string tty_name(unsigned tty) {
  if (tty == 0) return {};
  if (is_pseudoterminal(tty)) return fmt::format("pts/{}", minor(tty));
  std::error_code error;
  const auto device = std::filesystem::read_symlink(
      fmt::format("/sys/dev/char/{}:{}", major(tty), minor(tty)), error);
  return error ? std::string() : device.filename().string();
}

std::string user_name(std::uint32_t uid) {
  std::array<char, 16 * 1024> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::to_string(uid);
  return found->pw_name;
}

/// The real user of a process.
std::uint32_t owner_of(const std::string& process) {
  const std::string text = read_kernel_file("/proc/" + process + "/status");
  constexpr std::string_view kLine = "\nUid:\t";
  const auto at = text.find(kLine);
  if (at == std::string::npos) return kNoLogin;
  return number<std::uint32_t>(std::string_view(text).substr(at + kLine.size())).value_or(kNoLogin);
}

std::uint32_t person_behind(const std::string& process, std::uint32_t unseen) {
  if (const std::uint32_t login = login_of(process); login != kNoLogin) return login;
  const std::uint32_t owner = owner_of(process);
  if (owner == kNoLogin) return unseen;
  if (process != "self" || owner != 0) return owner;  // anybody can say anything to others
  const char* const caller = std::getenv("SUDO_UID");
  return number<std::uint32_t>(caller != nullptr ? caller : "").value_or(owner);
}

}  // namespace

std::optional<Session> session_of(const std::string& process) {
  Incoming incoming;
  const std::vector<std::string> line = ancestry(process);
  const auto stat = read_stat(process);
  const bool terminal = stat && stat->tty != 0;
  for (const std::string& one : line) {
    if (!terminal && !is_ssh_server(one)) continue;
    if (const auto session = by_socket(one, incoming)) return session;
  }
  for (const std::string& one : line) {
    if (const auto session = by_environment(one, incoming)) return session;
  }
  const std::uint32_t login = login_of(process);
  if (!stat || !is_pseudoterminal(stat->tty) || login == kNoLogin) return {};
  return by_login(login, incoming);
}

Actor actor_of(const std::optional<Session>& session, const std::string& process,
               std::uint32_t unseen) {
  Actor actor;
  actor.uid = person_behind(process, unseen);
  actor.user = user_name(actor.uid);
  if (const auto stat = read_stat(process)) actor.tty = tty_name(stat->tty);
  if (session) {
    const bool v4 = session->remote.family == Family::ipv4;
    const std::string address = to_string(session->remote);
    actor.remote = fmt::format("{}:{}", v4 ? address : '[' + address + ']', session->remote_port);
  }
  return actor;
}

}  // namespace fw
