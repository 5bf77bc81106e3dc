// Whether there is a panic.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/panic.hpp"

#include <sstream>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/host/state_file.hpp"

namespace fw {
namespace {

constexpr const char* kPanicFile = "panic";
constexpr std::size_t kPanicBytesMax =
    kPanicCallersMax * 64;  // an address has 39 characters at most

}  // namespace

std::optional<PanicState> read_panic(const std::string& state_dir) {
  const auto text = read_state_file(state_dir, kPanicFile, kPanicBytesMax);
  if (!text) return {};
  std::istringstream words(*text);
  PanicState state;
  std::int64_t since_ms = 0;
  std::string word;
  if (words >> word >> since_ms) state.since = WallTime{} + std::chrono::milliseconds{since_ms};
  // What cannot be read of it lets nobody in, and is a panic anyway.
  while (words >> word) {
    if (const auto ip = parse_ip(word)) state.panic.callers.push_back(*ip);
  }
  return state;
}

Result<void> save_panic(const std::string& state_dir, const std::optional<PanicState>& state) {
  if (!state) return remove_state_file(state_dir, kPanicFile);
  std::string text = fmt::format("since {}\n", ms_of(state->since));
  for (const Ip ip : state->panic.callers) text += to_string(ip) + "\n";
  return write_state_file(state_dir, kPanicFile, text);
}

}  // namespace fw
