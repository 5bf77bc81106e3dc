// packaging/lab, what packaging/try shows to whoever is new: that it ends as it expects to.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/lab/firewall.hpp"
#include "tests/lab/process.hpp"

namespace lab {
namespace {

class Try : public ::testing::Test {
 protected:
  static void expect_as_expected(const Output& output) {
    EXPECT_EQ(output.exit, 0) << to_string(output);
    EXPECT_EQ(output.out.find("Not as expected"), std::string::npos) << to_string(output);
    EXPECT_NE(output.out.find("All attempts went as expected"), std::string::npos)
        << to_string(output);
  }

  const Namespace where;
  const std::string script = CLOUDRON_FW_TESTS "/../packaging/lab";
};

TEST_F(Try, TheLabGoesAsExpectedWithAndWithoutATerminal) {
  // Each has namespaces of its own, so they run beside each other.
  Process plain(where, {script, program()});
  Process terminal(where,
                   {"script", "-qec", fmt::format("'{}' '{}'", script, program()), "/dev/null"});
  expect_as_expected(plain.wait());
  expect_as_expected(terminal.wait());
}

}  // namespace
}  // namespace lab
