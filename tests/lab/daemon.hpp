// The daemon beside a host's firewall, and a client of its control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "tests/lab/firewall.hpp"

namespace lab {

/// A connection to a control socket.
class Control {
 public:
  /// Fails when nobody listens.
  explicit Control(const std::string& path);

  void send(const std::string& bytes) const;
  /// The next line; "" when the other side closed, or is silent for so long.
  std::string line(Clock::duration patience = 60s);
  boost::json::object ask(const boost::json::object& request);

 private:
  Fd fd_;
  std::string read_;
};

class Daemon {
 public:
  /// Waits until it answers. The firewall must outlive it. `before`: words before the program's
  /// name.
  explicit Daemon(const Firewall& fw, std::vector<std::string> before = {});

  boost::json::object ask(const boost::json::object& request) const {
    return Control(path_).ask(request);
  }
  /// {"do": verb}
  boost::json::object ask(const std::string& verb) const {
    return ask(boost::json::object{{"do", verb}});
  }
  /// How often it has repaired the rules.
  std::int64_t repairs() const;

  const std::string& path() const { return path_; }
  const Process& process() const { return *process_; }
  void kill_and_start();

 private:
  void start();

  const Firewall& fw_;
  std::vector<std::string> before_;
  std::string path_;
  std::unique_ptr<Process> process_;
};

}  // namespace lab
