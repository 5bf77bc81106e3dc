// Lines of the control socket: which hold a request.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/control.hpp"

#include <gtest/gtest.h>

#include "tests/unit/samples.hpp"

namespace fw {
namespace {

TEST(Control, ARequestIsAnObject) {
  for (
      const char* line :
      {R"({"do": "hello", "state_dir": "/var/lib/cloudron-fw"})",
       R"({"do": "block", "addresses": ["198.18.0.7", "2001:db8:7::1"], "for": "1h",
            "reason": "guessing", "origin": "fail2ban sshd", "prefix6": 64, "force": true})",
       R"({"do": "block", "addresses": ["203.0.113.254", "198.18.1.1-198.18.1.9"],
            "by": {"uid": 0, "user": "root", "tty": "pts/0", "remote": "198.18.0.9:40000"}})",
       R"({"do": "unblock", "addresses": ["198.18.0.0/24"], "origin": "admin", "by": null})",
       R"({"do": "blocks", "count": 10})", R"({"do": "counts", "sources": 5})",
       R"({"do": "status"})", R"({"do": "limits"})", R"({"do": "applied", "took_us": 2500})",
       R"({"do": "activity", "since": "2026-11-27T10:30:00Z", "after": 2, "count": 3, "what": "block"})"}) {
    leave_sample("control", line);
    const auto request = read_request(line);
    ASSERT_TRUE(request) << line;
    EXPECT_TRUE(request->contains("do")) << line;
  }
}

TEST(Control, OtherLinesHoldNone) {
  for (const std::string& line : {std::string(), std::string("{"), std::string("[1]"),
                                  std::string("7"), std::string("\xff\xfe"), std::string("{} {}"),
                                  std::string(20, '[') + std::string(20, ']')}) {
    const auto request = read_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(to_string(request.error()), "a request must be one line that holds a JSON object");
  }
}

}  // namespace
}  // namespace fw
