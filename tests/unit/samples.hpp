// What fuzzing begins with: inputs of tests, left where somebody asks for them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

/// Writes the bytes into a folder of their own for each target of tests/fuzz, under
/// CLOUDRON_FW_SAMPLES; long ones only make fuzzing slow.
inline void leave_sample(const std::string& target, std::string_view bytes) {
  constexpr std::size_t kSampleMax = 16u << 10;
  const char* const samples = std::getenv("CLOUDRON_FW_SAMPLES");
  if (samples == nullptr || bytes.size() > kSampleMax) return;
  const auto folder = std::filesystem::path(samples) / target;
  std::filesystem::create_directories(folder);
  const auto name = std::to_string(std::hash<std::string_view>()(bytes));
  std::ofstream(folder / name, std::ios::binary) << bytes;
}
