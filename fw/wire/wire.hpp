// One JSON form of every report and request: of --json, of the control socket, and of whatever
// serves them later (docs/json.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "fw/base/result.hpp"

namespace fw::wire {

/// The "v" of every object that the program prints or sends. It grows when a field changes its
/// meaning or goes; new fields alone do not change it.
inline constexpr int kVersion = 1;

/// For the types that schemas.hpp names, and vectors of them.
template <class T>
boost::json::value to_json(const T& value);

/// Back from that. A field that is absent or null leaves its member as T makes it. Errors: usage,
/// with the path of the field and what it must be.
template <class T>
Result<T> from_json(const boost::json::value& json);

/// The names of the fields, in order.
template <class T>
std::vector<std::string> field_names();

/// What --json prints: the fields of an object behind "v".
boost::json::object versioned(boost::json::value fields);
/// An answer on the control socket: the same, with "ok".
boost::json::object answer(boost::json::value fields);
boost::json::object answer(const Error& error);

/// What an answer says, or the error that it carries. Errors: unsupported, when it is no answer of
/// this version.
Result<boost::json::object> read_answer(std::string_view line);

}  // namespace fw::wire
