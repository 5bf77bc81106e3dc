// Ports as text: what is read, and what is said of the rest.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/port.hpp"

#include <string>

#include <gtest/gtest.h>

namespace fw {
namespace {

std::string as_ports(const std::string& text, std::optional<Protocol> only = {}) {
  const auto range = parse_ports(text, only);
  return range ? to_string(*range) : "error: " + range.error().what;
}

TEST(Ports, AreNumbersAndRangesPerhapsOfANamedProtocol) {
  EXPECT_EQ(as_ports("22"), "tcp/22");
  EXPECT_EQ(as_ports("tcp/65535"), "tcp/65535");
  EXPECT_EQ(as_ports("udp/53"), "udp/53");
  EXPECT_EQ(as_ports("8000-8100"), "tcp/8000-8100");
  EXPECT_EQ(as_ports("udp/7-7"), "udp/7");
  EXPECT_EQ(as_ports("53", Protocol::udp), "udp/53");
}

TEST(Ports, WhatIsNoneIsSaidWithTheRemedy) {
  for (const char* text : {"", "-", "22-", "-22", "+22", " 22", "022", "22,23", "0-5", "1-2-3",
                           "tcp/", "http", "22 "}) {
    EXPECT_EQ(as_ports(text), "error: \"" + std::string(text) +
                                  "\" is not a port: write a number or a range, e.g. 22 or "
                                  "\"udp/5000-5010\"");
  }
  EXPECT_EQ(as_ports("udp/53", Protocol::udp),
            "error: \"udp/53\" is not a port: write a number or a range, e.g. 22 or \"8000-8100\"");
  EXPECT_EQ(as_ports("sctp/5"),
            "error: \"sctp/5\": the protocol must be tcp or udp; write e.g. \"udp/53\"");
  EXPECT_EQ(as_ports("UDP/5").substr(0, 17), "error: \"UDP/5\": t");
  EXPECT_EQ(as_ports("0"), "error: port 0 is not between 1 and 65535");
  EXPECT_EQ(as_ports("1-65536"), "error: port 65536 is not between 1 and 65535");
  EXPECT_EQ(as_ports("99999999999999999999"), "error: port number is not between 1 and 65535");
  EXPECT_EQ(as_ports("9-8"), "error: \"9-8\" is reversed: write \"8-9\"");
}

TEST(Ports, OfNumbersAreBounded) {
  EXPECT_EQ(port_range(Protocol::tcp, 1, 65'535), (PortRange{Protocol::tcp, 1, 65'535}));
  EXPECT_FALSE(port_range(Protocol::tcp, -1, 5));
  EXPECT_FALSE(port_range(Protocol::udp, 5, 65'536));
  EXPECT_FALSE(port_range(Protocol::udp, 6, 5));
}

}  // namespace
}  // namespace fw
