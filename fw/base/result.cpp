// Errors as text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/result.hpp"

#include <cstring>

#include <fmt/format.h>

namespace fw {

std::string to_string(const Location& where) {
  if (where.file.empty()) return {};
  if (where.line == 0) return where.file;
  if (where.column == 0) return fmt::format("{}:{}", where.file, where.line);
  return fmt::format("{}:{}:{}", where.file, where.line, where.column);
}

std::string to_string(const Error& error) {
  std::string text = to_string(error.where);
  auto add = [&text](const std::string& part) {
    if (part.empty()) return;
    if (!text.empty()) text += ": ";
    text += part;
  };
  add(error.context);
  add(error.what);
  if (error.sys_errno != 0) add(std::strerror(error.sys_errno));
  return text;
}

}  // namespace fw
