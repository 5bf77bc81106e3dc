// How a value becomes JSON and back. A type's fields are named once, in its Schema, and both ways
// follow from that.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "fw/base/address.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/wire/rfc3339.hpp"

namespace fw::wire {

namespace json = boost::json;

/// Specialise with `static void fields(auto& io, auto& value)`, which calls io.field(name, member)
/// for each member, or io.derived(name, function) for what only a reader wants.
template <class T>
struct Schema;

/// Specialise for an enum: `static constexpr std::array<std::pair<T, std::string_view>, N> all`.
template <class T>
struct Words;

template <class T>
concept HasSchema = requires {
  sizeof(Schema<T>);
};
template <class T>
concept HasWords = requires {
  sizeof(Words<T>);
};

/// What a decoder says of a value that is not of its type; `field` is a path: "blocks[3].until".
class Mismatch : public std::exception {
 public:
  Mismatch(std::string field, std::string must)
      : field_(std::move(field)), must_(std::move(must)) {}
  const char* what() const noexcept override { return must_.c_str(); }
  std::string text() const { return quote(field_) + " must " + must_; }
  /// The same, seen from the object or array that holds the value.
  Mismatch inside(std::string_view outer) const {
    const char* const dot = field_.empty() || field_.front() == '[' ? "" : ".";
    return {fmt::format("{}{}{}", outer, dot, field_), must_};
  }

 private:
  std::string field_;
  std::string must_;
};

template <class T>
json::value encode(const T& value);
/// Throws Mismatch.
template <class T>
void decode(const json::value& from, T& value);

class Encoder {
 public:
  template <class T>
  void field(std::string_view name, const T& value) {
    out_[name] = encode(value);
  }
  template <class T>
  void at_most(std::string_view name, const T& value, T /*most*/) {
    field(name, value);
  }
  template <class T>
  void required(std::string_view name, const T& value) {
    field(name, value);
  }
  template <class T>
  void some(std::string_view name, const std::vector<T>& value) {
    field(name, value);
  }
  template <class Make>
  void derived(std::string_view name, Make make) {
    out_[name] = encode(make());
  }
  json::object take() { return std::move(out_); }

 private:
  json::object out_;
};

/// A field that is absent or null leaves the member as it is, unless it is required.
class Decoder {
 public:
  explicit Decoder(const json::object& from) : from_(from) {}

  template <class T>
  void field(std::string_view name, T& value) {
    if (const json::value* const found = find(name)) read(name, *found, value);
  }
  template <std::integral T>
  void at_most(std::string_view name, T& value, T most) {
    field(name, value);
    if (std::cmp_less(value, 0) || value > most) refuse(name, most);
  }
  template <class T>
  void required(std::string_view name, T& value) {
    const json::value* const found = find(name);
    if (found == nullptr) throw Mismatch(std::string(name), "be there");
    read(name, *found, value);
  }
  /// Required, and one or more.
  template <class T>
  void some(std::string_view name, std::vector<T>& value) {
    required(name, value);
    if (value.empty()) throw Mismatch(std::string(name), "not be empty");
  }
  template <class Make>
  void derived(std::string_view, Make) {}

 private:
  const json::value* find(std::string_view name) const {
    const json::value* const found = from_.if_contains(name);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
  template <class T>
  static void refuse(std::string_view name, T most) {
    throw Mismatch(std::string(name), fmt::format("be a whole number from 0 to {}", most));
  }
  template <class T>
  static void read(std::string_view name, const json::value& from, T& value) {
    try {
      decode(from, value);
    } catch (const Mismatch& inner) {
      throw inner.inside(name);
    }
  }

  const json::object& from_;
};

/// The names of a type's fields, in order: for the test that holds the documentation to them.
class Names {
 public:
  void field(std::string_view name, const auto&) { names_.emplace_back(name); }
  void at_most(std::string_view name, const auto&, auto) { names_.emplace_back(name); }
  void required(std::string_view name, const auto&) { names_.emplace_back(name); }
  void some(std::string_view name, const auto&) { names_.emplace_back(name); }
  void derived(std::string_view name, const auto&) { names_.emplace_back(name); }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::vector<std::string> names_;
};

template <class T>
constexpr bool kIsVector = false;
template <class T>
constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
constexpr bool kIsMap = false;
template <class T>
constexpr bool kIsMap<std::map<std::string, T>> = true;
template <class T>
constexpr bool kIsDuration = false;
template <class R, class P>
constexpr bool kIsDuration<std::chrono::duration<R, P>> = true;

template <class T>
json::value encode(const T& value) {
  if constexpr (std::same_as<T, char>) {
    return json::value(std::string_view(&value, 1));
  } else if constexpr (std::same_as<T, bool> || std::integral<T> || std::floating_point<T> ||
                       std::same_as<T, json::value>) {
    return value;
  } else if constexpr (std::convertible_to<T, std::string_view>) {
    const std::string_view text = value;
    return json::value(printable(text, text.size()));  // JSON takes UTF-8 only, a terminal less
  } else if constexpr (std::same_as<T, Ip> || std::same_as<T, IpRange> || std::same_as<T, Rate>) {
    return json::value(to_string(value));
  } else if constexpr (std::same_as<T, WallTime>) {
    return json::value(rfc3339(value));
  } else if constexpr (std::same_as<T, std::chrono::seconds>) {
    return json::value(to_string(value));  // as the policy and the command line have it
  } else if constexpr (kIsDuration<T>) {
    return value.count();
  } else if constexpr (kIsOptional<T>) {
    return value ? encode(*value) : json::value();
  } else if constexpr (kIsVector<T>) {
    json::array out;
    out.reserve(value.size());
    for (const auto& one : value) out.push_back(encode(one));
    return out;
  } else if constexpr (kIsMap<T>) {
    json::object out;
    for (const auto& [name, one] : value) out[printable(name, name.size())] = encode(one);
    return out;
  } else if constexpr (HasWords<T>) {
    for (const auto& [known, word] : Words<T>::all) {
      if (known == value) return json::value(word);
    }
    return nullptr;
  } else {
    static_assert(HasSchema<T>, "no Schema names the fields of this type");
    if constexpr (std::same_as<T, Location>) {
      if (value.file.empty()) return nullptr;  // no place
    }
    Encoder io;
    Schema<T>::fields(io, value);
    return io.take();
  }
}

inline std::string decode_text(const json::value& from, const char* must) {
  if (!from.is_string()) throw Mismatch("", must);
  return std::string(from.get_string());
}

template <class T>
T parsed(Result<T> value) {
  if (!value) throw Mismatch("", "be valid: " + to_string(value.error()));
  return std::move(*value);
}

template <std::integral T>
void decode_number(const json::value& from, T& value) {
  boost::system::error_code error;
  const T number = from.to_number<T>(error);
  const bool whole = from.is_int64() || from.is_uint64();
  if (error || !whole) {
    throw Mismatch("", fmt::format("be a whole number from {} to {}", std::numeric_limits<T>::min(),
                                   std::numeric_limits<T>::max()));
  }
  value = number;
}

template <class T>
void decode_array(const json::value& from, std::vector<T>& value) {
  if (!from.is_array()) throw Mismatch("", "be an array");
  value.clear();
  for (std::size_t i = 0; const json::value& one : from.get_array()) {
    try {
      decode(one, value.emplace_back());
    } catch (const Mismatch& inner) {
      throw inner.inside(fmt::format("[{}]", i));
    }
    ++i;
  }
}

template <class T>
void decode(const json::value& from, T& value) {
  if constexpr (std::same_as<T, json::value>) {
    value = from;
  } else if constexpr (std::same_as<T, bool>) {
    if (!from.is_bool()) throw Mismatch("", "be true or false");
    value = from.get_bool();
  } else if constexpr (std::same_as<T, char>) {
    const std::string text = decode_text(from, "be one character");
    if (text.size() != 1) throw Mismatch("", "be one character");
    value = text.front();
  } else if constexpr (std::integral<T>) {
    decode_number(from, value);
  } else if constexpr (std::same_as<T, std::string>) {
    value = decode_text(from, "be a string");
  } else if constexpr (std::same_as<T, IpRange>) {
    value = parsed(parse_ip_range(decode_text(from, "be an address, a network or a range")));
  } else if constexpr (std::same_as<T, Ip>) {
    value = parsed(parse_ip(decode_text(from, "be an address")));
  } else if constexpr (std::same_as<T, Rate>) {
    value = parsed(parse_rate(decode_text(from, "be a rate")));
  } else if constexpr (std::same_as<T, WallTime>) {
    const auto time = parse_rfc3339(decode_text(from, "be a time"));
    if (!time) throw Mismatch("", "be a time of RFC 3339, like \"2026-11-27T10:30:00Z\"");
    value = *time;
  } else if constexpr (std::same_as<T, std::chrono::seconds>) {
    value = parsed(parse_duration(decode_text(from, "be a time, like \"90s\" or \"1h\"")));
  } else if constexpr (kIsDuration<T>) {
    typename T::rep count = 0;
    decode_number(from, count);
    value = T{count};
  } else if constexpr (kIsOptional<T>) {
    typename T::value_type inner{};
    decode(from, inner);
    value = std::move(inner);
  } else if constexpr (kIsVector<T>) {
    decode_array(from, value);
  } else if constexpr (kIsMap<T>) {
    if (!from.is_object()) throw Mismatch("", "be an object");
    for (const auto& [name, one] : from.get_object()) decode(one, value[std::string(name)]);
  } else if constexpr (HasWords<T>) {
    const std::string text = decode_text(from, "be a word");
    for (const auto& [known, word] : Words<T>::all) {
      if (word == text) return void(value = known);
    }
    throw Mismatch("", "be a known word, and " + quote(text) + " is none");
  } else {
    static_assert(HasSchema<T>, "no Schema names the fields of this type");
    if (!from.is_object()) throw Mismatch("", "be an object");
    Decoder io(from.get_object());
    Schema<T>::fields(io, value);
  }
}

/// decode(), with its complaint as an error.
template <class T>
Result<T> read(const json::value& json) {
  try {
    T value{};
    decode(json, value);
    return value;
  } catch (const Mismatch& mismatch) {
    return fail(ErrorCode::usage, mismatch.text());
  }
}

}  // namespace fw::wire
