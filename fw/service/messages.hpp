// A service's reports to systemd: its state, and messages with fields for the journal.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/file.hpp"
#include "limiter/gcra.hpp"

namespace fw {

/// Sends a state ("READY=1") to the service manager; without one, nothing is done.
/// Source: sd_notify(3), which states the protocol.
void notify_manager(std::string_view state);

/// How often the service manager wants to hear WATCHDOG=1; zero: never. Source:
/// sd_watchdog_enabled(3).
std::chrono::microseconds watchdog_period();

/// Levels of syslog(3).
enum class Level : std::uint8_t { alert = 1, error = 3, warning = 4, notice = 5, info = 6 };

struct Field {
  std::string_view name;  ///< upper case letters and underscores
  std::string value;
};

/// Does this descriptor lead to the journal? `stream`: the value of JOURNAL_STREAM, or null. Who
/// inherits the variable and writes elsewhere is not fooled. Source: systemd.exec(5).
bool is_journal(int fd, const char* stream);

/// Writes messages to the journal with their fields where stderr leads there, else to stderr. At
/// most kMessagesBurst at once and kMessagesRate a second; what is more is counted and said.
class Messages {
 public:
  /// `service` is the name that they carry: "cloudron-fwd".
  explicit Messages(std::string service);

  void send(Level level, const std::string& text, const std::vector<Field>& fields = {});

  std::uint64_t suppressed() const { return suppressed_; }

 private:
  void write(Level level, const std::string& text, const std::vector<Field>& fields);

  std::string service_;
  File socket_;  ///< to the journal; none without it
  limiter::Ticks budget_ = 0;
  std::uint64_t suppressed_ = 0;  ///< in all
  std::uint64_t unsaid_ = 0;      ///< of them
};

}  // namespace fw
