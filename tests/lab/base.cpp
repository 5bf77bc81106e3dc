// What all of the lab needs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/base.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <unistd.h>

namespace lab {

void fail(const std::string& what) {
  throw std::runtime_error(errno == 0 ? what : what + ": " + std::strerror(errno));
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

bool eventually(const std::function<bool()>& so, Clock::duration patience) {
  const auto end = Clock::now() + patience;
  auto pause = 1ms;
  while (!so()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, 50ms);
  }
  return true;
}

bool passed(Clock::time_point since, Clock::duration time) { return Clock::now() - since >= time; }

TempDir::TempDir() {
  char path[] = "/tmp/cloudron-fw-test-XXXXXX";
  if (::mkdtemp(path) == nullptr) fail("cannot make a temporary folder");
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!(file << text << std::flush)) fail("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) fail("cannot read " + path);
  return text.str();
}

double seconds_of(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace lab
