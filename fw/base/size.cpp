// Sizes, to and from text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/size.hpp"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw {
namespace {

struct SizeUnit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<SizeUnit, 4> kSizeUnits{
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}}};

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const SizeUnit& unit : kSizeUnits) {
    if (error != std::errc{} || name != unit.name) continue;
    if (number > UINT64_MAX / unit.bytes) break;
    return number * unit.bytes;
  }
  return fail(ErrorCode::usage,
              fmt::format("size {}: write a whole number and KiB, MiB, GiB or TiB, e.g. \"256MiB\"",
                          quote(text)));
}

std::string size_text(std::uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0)
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  }
  return fmt::format("{} bytes", bytes);
}

}  // namespace fw
