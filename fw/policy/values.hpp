// Single values of a policy, read from TOML and checked; problems are noted with their place.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fw/base/limits.hpp"
#include "fw/policy/parse.hpp"

namespace fw {

/// A value in the file, with the name of its key or of what an array holds. Only this folder's
/// toml.hpp knows more.
struct Value;

/// Reads the values of one file and keeps the problems that were met. A value that cannot be read
/// is a problem and comes back empty; `example` is only used to say so.
class ValueReader {
 public:
  explicit ValueReader(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  Location where(const Value& value) const;
  void report(Severity severity, Location place, std::string what);
  void error(Location place, std::string what) {
    report(Severity::error, std::move(place), std::move(what));
  }
  void error(const Value& value, std::string what) { error(where(value), std::move(what)); }
  std::size_t problem_count() const { return problem_count_; }  ///< those beyond the bound, too
  std::vector<Problem> take_problems();                         ///< in the order of the file

  std::optional<bool> boolean(const Value& value);
  std::string name(const Value& value);
  std::string file_name(const Value& value);
  std::string socket(const Value& value);  ///< an absolute path
  Rate rate(const Value& value);
  std::optional<std::chrono::seconds> duration(const Value& value);
  /// The same, or "0s".
  std::optional<std::chrono::seconds> duration_or_zero(const Value& value);
  std::optional<std::uint64_t> size(const Value& value, std::uint64_t least, std::uint64_t most);
  /// Of one protocol, which is not written; without `only` it may be.
  std::vector<Located<PortRange>> ports(const Value& value, std::optional<Protocol> only,
                                        std::size_t size_max = kPolicyArrayMax);
  std::vector<PortRange> plain_ports(const Value& value, std::size_t size_max = kPolicyArrayMax);
  std::vector<PortRange> some_ports(const Value& value);  ///< at least one
  std::vector<Located<IpRange>> networks(const Value& value,
                                         std::size_t size_max = kPolicyArrayMax);
  /// Networks, and names of lists.
  void sources(const Value& value, std::vector<Located<IpRange>>& networks,
               std::vector<Located<std::string>>& lists);
  std::vector<Located<IpRange>> translated(const Value& value);
  std::vector<std::uint8_t> protocols(const Value& value);  ///< of IP: names and numbers
  std::vector<std::string> interfaces(const Value& value, std::string_view example);
  std::vector<Ip> addresses(const Value& value);
  /// Names of network devices, each perhaps with "*" at its end.
  std::vector<std::string> devices(const Value& value);
  std::optional<Endpoint> loopback(const Value& value);
  Rate refusals(const Value& value);  ///< "20 refused/10m"
  /// Text of a plugin's, which says why it cannot be meant ("is not ...; use ..."), or "".
  using Complaint = std::string (*)(std::string_view text);
  std::string text(const Value& value, std::string_view example, Complaint complaint);
  std::vector<std::string> texts(const Value& value, std::string_view each,
                                 std::string_view example, Complaint complaint,
                                 std::size_t size_max);
  std::vector<std::string> limit_names(const Value& value) {
    return names(value, "the name of the limit", "limit", "ssh");
  }
  std::vector<std::string> addon_names(const Value& value) {
    return names(value, "the name of the addon", "addon", "mysql");
  }

  std::optional<std::int64_t> number(const Value& value, std::int64_t least, std::int64_t most);
  /// One of some words into `out`.
  template <class Out, class T, std::size_t N>
  void choose(const Value& value, const std::array<std::pair<std::string_view, T>, N>& choices,
              Out& out);

 private:
  /// Which of the words it is.
  std::optional<std::size_t> word(const Value& value, std::span<const std::string_view> words);
  void wrong_type(const Value& value, std::string_view wanted);
  const std::string* text(const Value& value, std::string_view example);
  std::vector<std::string> names(const Value& value, std::string_view each, std::string_view thing,
                                 std::string_view example);
  /// What it holds, each as a value that is called `each`.
  std::optional<std::vector<Value>> array(const Value& value, std::string_view each,
                                          std::string_view example,
                                          std::size_t size_max = kPolicyArrayMax);
  std::optional<std::uint8_t> protocol(const Value& value);
  std::optional<PortRange> port(const Value& value, std::optional<Protocol> only);

  std::string file_;
  std::vector<Problem> problems_;
  std::size_t problem_count_ = 0;
};

template <class Out, class T, std::size_t N>
void ValueReader::choose(const Value& value,
                         const std::array<std::pair<std::string_view, T>, N>& choices, Out& out) {
  std::array<std::string_view, N> words;
  for (std::size_t i = 0; i < N; ++i) words[i] = choices[i].first;
  if (const auto chosen = word(value, words)) out = choices[*chosen].second;
}

}  // namespace fw
