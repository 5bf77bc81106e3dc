// Ports as text, and text as ports.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/port.hpp"

#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// More than any port; the number is not told then.
constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

/// "22" as 22 twice, "8000-8100" as the two.
std::optional<std::pair<std::int64_t, std::int64_t>> read_numbers(std::string_view text) {
  const auto take = [&text](std::int64_t& number) {
    if (text.empty() || text[0] < '1' || text[0] > '9') return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) number = kHuge;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  std::pair<std::int64_t, std::int64_t> numbers;
  if (text == "0") return numbers;
  if (!take(numbers.first)) return {};
  numbers.second = numbers.first;
  if (text.empty()) return numbers;
  if (text[0] != '-') return {};
  text.remove_prefix(1);
  if (!take(numbers.second) || !text.empty()) return {};
  return numbers;
}

std::unexpected<Error> refuse(std::string what) { return fail(ErrorCode::usage, std::move(what)); }

}  // namespace

Result<PortRange> port_range(Protocol protocol, std::int64_t first, std::int64_t last) {
  for (const std::int64_t number : {first, last}) {
    if (number >= 1 && number <= 65'535) continue;
    return refuse(fmt::format("port {} is not between 1 and 65535",
                              number == kHuge ? "number" : std::to_string(number)));
  }
  if (first > last) {
    return refuse(fmt::format("\"{}-{}\" is reversed: write \"{}-{}\"", first, last, last, first));
  }
  return PortRange{protocol, static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
}

Result<PortRange> parse_ports(std::string_view text, std::optional<Protocol> only) {
  Protocol protocol = only.value_or(Protocol::tcp);
  std::string_view numbers = text;
  if (const std::size_t slash = text.find('/'); slash != text.npos && !only) {
    const std::string_view written = text.substr(0, slash);
    if (written != "tcp" && written != "udp") {
      return refuse(
          fmt::format("{}: the protocol must be tcp or udp; write e.g. \"udp/53\"", quote(text)));
    }
    protocol = written == "udp" ? Protocol::udp : Protocol::tcp;
    numbers.remove_prefix(slash + 1);
  }
  if (const auto range = read_numbers(numbers))
    return port_range(protocol, range->first, range->second);
  return refuse(fmt::format("{} is not a port: write a number or a range, e.g. 22 or {}",
                            quote(text), only ? "\"8000-8100\"" : "\"udp/5000-5010\""));
}

std::string to_string(const PortRange& range) {
  if (range.single()) return fmt::format("{}/{}", to_string(range.protocol), range.first);
  return fmt::format("{}/{}-{}", to_string(range.protocol), range.first, range.last);
}

}  // namespace fw
