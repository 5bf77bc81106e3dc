// testssl.sh as a judge.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "tests/lab/process.hpp"

namespace lab {

/// The letter that it gives "NAME:PORT" at an address, after a minute or so; what went wrong
/// otherwise.
inline std::string testssl_grade(const Namespace& from, const std::string& ca,
                                 const std::string& address, const std::string& server) {
  const TempDir dir;
  const Output output = run(
      from,
      {"testssl", "--quiet", "--color", "0", "--warnings", "batch", "-n", "none", "--add-ca", ca,
       "--ip", address, "--openssl", "/usr/bin/openssl", "--jsonfile", dir / "json", server},
      {}, 600s);
  const std::string text = read_file(dir / "json");
  const auto at = text.find("\"overall_grade\"");
  if (at == std::string::npos) return "none: " + output.out.substr(0, 2000);
  const auto from_here = text.find("\"finding\"", at);
  const auto value = text.find('"', text.find(':', from_here)) + 1;
  return text.substr(value, text.find('"', value) - value);
}

}  // namespace lab
