// Numbers and times as people read them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/words.hpp"

#include <cerrno>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

namespace fw::ops {

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string plural(std::uint64_t n, const char* one, const char* many) {
  std::string word = one;
  if (n != 1) word = many != nullptr ? many : word + "s";
  return grouped(n) + " " + word;
}

std::string until_text(const std::optional<WallTime>& until, WallTime now) {
  if (!until) return "permanently";
  const auto left = std::chrono::ceil<std::chrono::seconds>(*until - now);
  if (left.count() <= 0) return "ended";
  return rough_text(left) + " left";
}

std::string rough_text(std::chrono::seconds length) {
  std::string text;
  auto rest = length.count();
  int parts = 0;
  for (const auto& [unit, name] : {std::pair{86'400L, 'd'}, {3600L, 'h'}, {60L, 'm'}, {1L, 's'}}) {
    if (rest < unit || parts == 2) continue;
    text += fmt::format("{}{}{}", parts == 0 ? "" : " ", rest / unit, name);
    rest %= unit;
    ++parts;
  }
  return text;
}

std::string error_text(const Error& error) {
  const bool denied = error.sys_errno == EACCES || error.sys_errno == EPERM;
  return to_string(error) +
         (denied && ::geteuid() != 0 ? "; this command needs root (try: sudo)" : "");
}

std::string time_text(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

}  // namespace fw::ops
