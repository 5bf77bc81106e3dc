// A real nginx on the host under test, with the configuration that cloudron-fw makes.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/lab/firewall.hpp"
#include "tests/lab/network.hpp"
#include "tests/lab/process.hpp"

namespace lab {

/// A key and a certificate that signs itself, for these names.
struct SelfSigned {
  SelfSigned(const Namespace& where, const std::string& folder,
             const std::vector<std::string>& names, int days = 90,
             const std::string& extension = "")
      : certificate(folder + "/cert.pem"), key(folder + "/key.pem") {
    std::string alternatives;
    for (const std::string& name : names)
      alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
    std::vector<std::string> words{"openssl",
                                   "req",
                                   "-x509",
                                   "-newkey",
                                   "ec",
                                   "-pkeyopt",
                                   "ec_paramgen_curve:P-256",
                                   "-nodes",
                                   "-days",
                                   std::to_string(days),
                                   "-subj",
                                   "/CN=test",
                                   "-addext",
                                   "subjectAltName=" + alternatives,
                                   "-keyout",
                                   key,
                                   "-out",
                                   certificate};
    if (!extension.empty()) words.insert(words.end(), {"-addext", extension});
    must_run(where, words);
  }

  std::string certificate;
  std::string key;
};

/// nginx with all of its workers: they would outlive a master that is killed, and each holds its
/// namespace.
class NginxProcess {
 public:
  /// The words behind "nginx".
  NginxProcess(const Namespace& where, const std::vector<std::string>& words)
      : process_(where, with_program(words)) {}
  ~NginxProcess() { ::kill(-process_.id(), SIGKILL); }
  NginxProcess(const NginxProcess&) = delete;
  NginxProcess& operator=(const NginxProcess&) = delete;

  void reload() const { process_.kill(SIGHUP); }
  std::string err_so_far() const { return process_.err_so_far(); }

 private:
  /// In a process group of its own.
  static std::vector<std::string> with_program(const std::vector<std::string>& words) {
    std::vector<std::string> all{"setsid", "nginx"};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }

  Process process_;
};

/// Its folder is laid out as Debian's /etc/nginx is, where that matters.
class Nginx {
 public:
  /// `log_level` "notice" is needed for reloads() and settle().
  explicit Nginx(const Namespace& host, const std::string& log_level = "error") : host_(host) {
    ::mkdir((dir_ / "conf.d").c_str(), 0755);
    write_file(dir_ / "nginx.conf",
               fmt::format("user root;\nworker_processes 1;\ndaemon off;\npid {0}/pid;\n"
                           "error_log {0}/error.log {1};\nevents {{ worker_connections 4096; }}\n"
                           "http {{\n  access_log off;\n  ssl_protocols TLSv1.2 TLSv1.3;\n"
                           "  ssl_prefer_server_ciphers on;\n"
                           "  include {0}/conf.d/*.conf;\n}}\n",
                           dir_.path(), log_level));
  }

  const std::string& folder() const { return dir_.path(); }
  void start() {
    process_.emplace(host_, std::vector<std::string>{"-c", dir_ / "nginx.conf"});
    if (!eventually([this] { return !read_pid().empty(); }))
      fail("nginx does not start: " + process_->err_so_far());
  }
  std::string errors() const { return read_file(dir_ / "error.log"); }
  std::size_t reloads() const { return logged("(SIGHUP)"); }
  /// Waits until nobody has a former configuration: for a tenth of a second after a reload old
  /// workers answer, too.
  void settle() const {
    if (!eventually([this] { return logged("exited with code 0") == reloads(); }))
      fail("nginx's old workers stay: " + errors());
  }

 private:
  std::size_t logged(const std::string& what) const {
    const std::string text = errors();
    std::size_t count = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
    return count;
  }
  std::string read_pid() const {
    struct stat status {};
    return ::stat((dir_ / "pid").c_str(), &status) == 0 ? read_file(dir_ / "pid") : "";
  }

  const Namespace& host_;
  TempDir dir_;
  std::optional<NginxProcess> process_;
};

/// What a server answered.
struct Response {
  int exit = 0;  ///< of curl; 35: the handshake failed
  int status = 0;
  std::multimap<std::string, std::string> headers;  ///< by name in lower case
  std::string body;

  std::vector<std::string> all(const std::string& name) const {
    std::vector<std::string> values;
    for (auto [it, end] = headers.equal_range(name); it != end; ++it) values.push_back(it->second);
    return values;
  }
  std::string one(const std::string& name) const {
    const auto values = all(name);
    return values.size() == 1 ? values.front() : fmt::format("({} of them)", values.size());
  }
};

/// Answers in the order in which they came, as `curl -i` prints them.
inline std::vector<Response> parse_responses(const std::string& text) {
  std::vector<Response> all;
  std::istringstream lines(text);
  bool in_head = false;
  for (std::string line; std::getline(lines, line);) {
    if (const auto at = line.find("HTTP/");
        at != line.npos && line.find(' ') != line.npos && !in_head && line.size() - at < 60) {
      if (at != 0 && !all.empty()) all.back().body += line.substr(0, at);
      all.emplace_back().status = std::stoi(line.substr(line.find(' ', at) + 1));
      in_head = true;
      continue;
    }
    if (all.empty()) continue;
    if (!in_head) {
      all.back().body += line + "\n";
      continue;
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) {
      in_head = false;
      continue;
    }
    std::string name = line.substr(0, line.find(':'));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    all.back().headers.emplace(name, line.substr(std::min(line.size(), line.find(':') + 2)));
  }
  return all;
}

}  // namespace lab
