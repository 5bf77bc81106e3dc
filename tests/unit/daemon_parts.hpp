// What the parts of the daemon share, in a state folder of its own, for their tests.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "fw/daemon/shared.hpp"

namespace fw {

class DaemonParts : public ::testing::Test {
 protected:
  DaemonParts() = default;
  ~DaemonParts() override {
    shared.queue.join();
    std::filesystem::remove_all(folder);
  }

  /// Runs the loop until that is so; false if it is not for very long.
  template <class Condition>
  bool runs_until(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      io.restart();
      io.run_one_for(std::chrono::milliseconds{5});
    }
    return true;
  }
  /// Runs it for so long.
  void runs_for(std::chrono::milliseconds time) {
    io.restart();
    io.run_for(time);
  }

  /// Summaries of the activity log's rows of that kind.
  std::vector<std::string> recorded(const std::string& what) const {
    auto log = ActivityLog::open(folder);
    if (!log) return {};
    const auto rows = log->read(WallTime::min(), 0, 1000, what);
    if (!rows) return {};
    std::vector<std::string> out;
    for (const Activity& row : *rows) out.push_back(row.summary);
    return out;
  }

  const std::string folder = make_folder_of_test();
  boost::asio::io_context io{1};
  Shared shared{io, folder};

 private:
  static std::string make_folder_of_test() {
    std::string name = std::filesystem::temp_directory_path() / "daemon_parts.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    return name;
  }
};

}  // namespace fw
