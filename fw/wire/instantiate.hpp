// What wire.hpp promises, made for one type after the other: for the files that list them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "fw/wire/codec.hpp"
#include "fw/wire/wire.hpp"

namespace fw::wire {

template <class T>
json::value to_json(const T& value) {
  return encode(value);
}

template <class T>
Result<T> from_json(const json::value& json) {
  return read<T>(json);
}

template <class T>
std::vector<std::string> field_names() {
  Names io;
  const T value{};
  Schema<T>::fields(io, value);
  return io.take();
}

}  // namespace fw::wire

/// Reports, which are only told.
#define CLOUDRON_FW_WIRE_REPORT(...)                \
  template json::value to_json(const __VA_ARGS__&); \
  template std::vector<std::string> field_names<__VA_ARGS__>();

/// What is read back, too.
#define CLOUDRON_FW_WIRE(...)          \
  CLOUDRON_FW_WIRE_REPORT(__VA_ARGS__) \
  template Result<__VA_ARGS__> from_json<__VA_ARGS__>(const json::value&);
