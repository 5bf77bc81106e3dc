// Single values of a policy, read from TOML and checked; what is wrong is noted with its place.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/policy/parse.hpp"
#include "fw/policy/toml.hpp"

namespace fw {

/// Reads the values of one file and keeps the problems that were met. A value that cannot be read
/// is a problem and comes back empty; `key` and `example` are only used to say so.
class ValueReader {
 public:
  explicit ValueReader(std::string file) : file_(std::move(file)) {}

  template <class Region>
  Location where(const Region& region) const {
    return place_of(region, file_);
  }
  void report(Severity severity, Location place, std::string what);
  void error(Location place, std::string what) {
    report(Severity::error, std::move(place), std::move(what));
  }
  void error(const toml::node& node, std::string what) { error(where(node), std::move(what)); }
  std::size_t problem_count() const { return problem_count_; }  ///< those beyond the bound, too
  std::vector<Problem> take_problems();                         ///< in the order of the file

  std::optional<bool> boolean(const toml::node& node, std::string_view key);
  std::string name(const toml::node& node);
  std::string file_name(const toml::node& node);
  std::string socket(const toml::node& node, std::string_view key);  ///< an absolute path
  Rate rate(const toml::node& node);
  std::optional<std::chrono::seconds> duration(const toml::node& node, std::string_view key);
  std::optional<std::uint64_t> size(const toml::node& node, std::string_view key,
                                    std::uint64_t least, std::uint64_t most);
  /// Of one protocol, which is not written; without `only` it may be.
  std::vector<Located<PortRange>> ports(const toml::node& node, std::string_view key,
                                        std::optional<Protocol> only,
                                        std::size_t size_max = kPolicyArrayMax);
  std::vector<PortRange> plain_ports(const toml::node& node, std::string_view key,
                                     std::size_t size_max = kPolicyArrayMax);
  std::vector<PortRange> some_ports(const toml::node& node);  ///< at least one
  std::vector<Located<IpRange>> networks(const toml::node& node, std::string_view key,
                                         std::size_t size_max = kPolicyArrayMax);
  /// Networks, and names of lists.
  void sources(const toml::node& node, std::vector<Located<IpRange>>& networks,
               std::vector<Located<std::string>>& lists);
  std::vector<Located<IpRange>> translated(const toml::node& node);
  std::vector<std::uint8_t> protocols(const toml::node& node);  ///< of IP: names and numbers
  std::vector<std::string> interfaces(const toml::node& node, std::string_view key,
                                      std::string_view example);
  std::vector<Ip> addresses(const toml::node& node);
  /// Names of network devices, each perhaps with "*" at its end.
  std::vector<std::string> devices(const toml::node& node, std::string_view key);
  std::optional<Endpoint> loopback(const toml::node& node, std::string_view key);
  Rate refusals(const toml::node& node);  ///< "20 refused/10m"
  std::vector<std::string> limit_names(const toml::node& node) {
    return names(node, "limits", "limit", "ssh");
  }
  std::vector<std::string> addon_names(const toml::node& node) {
    return names(node, "addons", "addon", "mysql");
  }

  /// A reader of one whole number into `out`.
  template <class T>
  auto number(T& out, std::string_view key, std::int64_t least, std::int64_t most);
  /// One of some words into `out`.
  template <class T, std::size_t N>
  void choose(const toml::node& node, std::string_view key,
              const std::array<std::pair<std::string_view, T>, N>& choices, T& out);

 private:
  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted);
  const std::string* text(const toml::node& node, std::string_view key, std::string_view example);
  std::optional<std::int64_t> integer(const toml::node& node, std::string_view key,
                                      std::int64_t least, std::int64_t most);
  std::vector<std::string> names(const toml::node& node, std::string_view key,
                                 std::string_view thing, std::string_view example);
  const toml::array* array(const toml::node& node, std::string_view key, std::string_view example,
                           std::size_t size_max = kPolicyArrayMax);
  std::optional<std::uint8_t> protocol(const toml::node& node);
  std::optional<PortRange> port(const toml::node& node, std::optional<Protocol> only);

  std::string file_;
  std::vector<Problem> problems_;
  std::size_t problem_count_ = 0;
};

template <class T>
auto ValueReader::number(T& out, std::string_view key, std::int64_t least, std::int64_t most) {
  return [this, &out, key, least, most](const toml::node& node) {
    if (const auto value = integer(node, key, least, most)) out = static_cast<T>(*value);
  };
}

template <class T, std::size_t N>
void ValueReader::choose(const toml::node& node, std::string_view key,
                         const std::array<std::pair<std::string_view, T>, N>& choices, T& out) {
  const std::string* value = text(node, key, choices[0].first);
  if (value == nullptr) return;
  for (const auto& [word, meaning] : choices) {
    if (*value == word) return void(out = meaning);
  }
  std::string words;
  for (std::size_t i = 0; i < N; ++i)
    words += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + quote(choices[i].first);
  error(node, fmt::format("{} must be {}, not {}", key, words, quote(*value)));
}

}  // namespace fw
