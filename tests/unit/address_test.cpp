// Addresses, networks and ranges: what people write, and what is printed back.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/address.hpp"

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fw {
namespace {

using std::string;
using namespace std::string_literals;

struct Spelling {
  string written;
  string printed;
};

TEST(Address, ReadsOneAddress) {
  for (const Spelling& s : std::vector<Spelling>{
           {"0.0.0.0", "0.0.0.0"},
           {"203.0.113.7", "203.0.113.7"},
           {"255.255.255.255", "255.255.255.255"},
           {"::", "::"},
           {"::1", "::1"},
           {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
           {"2001:db8::1", "2001:db8::1"},
           {"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
           {"::1.2.3.4", "::1.2.3.4"},
           {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
           {"::ffff:203.0.113.7", "203.0.113.7"},
           {"::ffff:cb00:7107", "203.0.113.7"},
           {"0:0:0:0:0:FFFF:203.0.113.7", "203.0.113.7"},
           {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       }) {
    const auto ip = parse_ip(s.written);
    ASSERT_TRUE(ip) << s.written << ": " << ip.error().what;
    EXPECT_EQ(to_string(*ip), s.printed) << s.written;
    EXPECT_EQ(parse_ip(to_string(*ip)), *ip) << s.written;
    EXPECT_EQ(ip_from_bytes(ip->family, to_bytes(*ip).data()), *ip) << s.written;
  }
}

TEST(Address, BytesAreInNetworkOrder) {
  EXPECT_EQ(to_bytes(*parse_ip("1.2.3.4")), (std::vector<std::uint8_t>{1, 2, 3, 4}));
  const auto six = to_bytes(*parse_ip("2001:db8::ff"));
  ASSERT_EQ(six.size(), 16u);
  EXPECT_EQ(six[0], 0x20);
  EXPECT_EQ(six[3], 0xb8);
  EXPECT_EQ(six[15], 0xff);
}

TEST(Address, ARangeIsAFewNetworks) {
  const auto networks = [](const string& range) {
    std::vector<string> out;
    for (const IpRange& prefix : prefixes(*parse_ip_range(range))) out.push_back(to_string(prefix));
    return out;
  };
  using Texts = std::vector<string>;
  EXPECT_EQ(networks("203.0.113.7"), Texts{"203.0.113.7"});
  EXPECT_EQ(networks("203.0.113.0/24"), Texts{"203.0.113.0/24"});
  EXPECT_EQ(networks("0.0.0.0/0"), Texts{"0.0.0.0/0"});
  EXPECT_EQ(networks("::/0"), Texts{"::/0"});
  EXPECT_EQ(networks("203.0.113.5-203.0.113.9"),
            (Texts{"203.0.113.5", "203.0.113.6/31", "203.0.113.8/31"}));
  EXPECT_EQ(networks("::1-::4"), (Texts{"::1", "::2/127", "::4"}));
  EXPECT_EQ(networks("255.255.255.254-255.255.255.255"), Texts{"255.255.255.254/31"});
}

TEST(Address, RefusesWhatIsNoAddress) {
  const std::vector<string> wrong{"",
                                  " ",
                                  "1.2.3",
                                  "1.2.3.4.5",
                                  "1.2.3.256",
                                  "1.2.3.1000",
                                  "1.2.3.-4",
                                  "+1.2.3.4",
                                  "1.2.3.4 ",
                                  " 1.2.3.4",
                                  "1..2.3",
                                  "1.2.3.",
                                  ".1.2.3",
                                  "01.2.3.4",
                                  "1.2.3.00",
                                  "0x1.2.3.4",
                                  "1.2.3.4\n",
                                  "1,2,3,4",
                                  "16909060",
                                  "localhost",
                                  "example.com",
                                  ":",
                                  ":::",
                                  "1::2::3",
                                  "2001:db8",
                                  "12345::",
                                  "g::1",
                                  "fe80::1%eth0",
                                  "fe80::1%2",
                                  "[::1]",
                                  "::1]:80",
                                  "1.2.3.4:80",
                                  "::ffff:1.2.3.256",
                                  "1:2:3:4:5:6:7:8:9",
                                  "1.2.3.4/32",
                                  string("1.2.3.4\0", 8),
                                  string("::1\0", 4),
                                  string("\0", 1),
                                  string(1000, '1'),
                                  string(1000, ':'),
                                  "\xff\xfe",
                                  "１.2.3.4"};
  for (const string& text : wrong) {
    const auto ip = parse_ip(text);
    EXPECT_FALSE(ip) << text << " was read as " << to_string(*ip);
    if (!ip) {
      EXPECT_EQ(ip.error().code, ErrorCode::usage);
      EXPECT_LT(ip.error().what.size(), 400u);
      EXPECT_EQ(ip.error().what.find('\n'), string::npos);
    }
  }
}

TEST(Address, ReadsNetworksAndRanges) {
  for (const Spelling& s : std::vector<Spelling>{
           {"203.0.113.7", "203.0.113.7"},
           {"203.0.113.7/32", "203.0.113.7"},
           {"203.0.113.0/24", "203.0.113.0/24"},
           {"0.0.0.0/0", "0.0.0.0/0"},
           {"128.0.0.0/1", "128.0.0.0/1"},
           {"10.0.0.0/8", "10.0.0.0/8"},
           {"::/0", "::/0"},
           {"2001:db8::/32", "2001:db8::/32"},
           {"2001:db8::/64", "2001:db8::/64"},
           {"2001:db8::/65", "2001:db8::/65"},
           {"2001:db8::1/128", "2001:db8::1"},
           {"203.0.113.0-203.0.113.255", "203.0.113.0/24"},
           {"203.0.113.1-203.0.113.2", "203.0.113.1-203.0.113.2"},
           {"203.0.113.1 - 203.0.113.2", "203.0.113.1-203.0.113.2"},
           {"203.0.113.1-203.0.113.1", "203.0.113.1"},
           {"203.0.113.1-203.0.113.4", "203.0.113.1-203.0.113.4"},
           {"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
           {"2001:db8::-2001:db8::ff", "2001:db8::/120"},
           {"2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff"},
           {"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
           {"::ffff:203.0.113.7", "203.0.113.7"},
           {"::ffff:203.0.113.0/120", "203.0.113.0/24"},
           {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
           {"::ffff:203.0.113.7/128", "203.0.113.7"},
           {"::ffff:203.0.113.1-::ffff:203.0.113.9", "203.0.113.1-203.0.113.9"},
           {"203.0.113.1-::ffff:203.0.113.9", "203.0.113.1-203.0.113.9"},
           {"::/80", "::/80"},
           {"::1-::ffff:255.255.255.255", "::1-::ffff:255.255.255.255"},
       }) {
    const auto range = parse_ip_range(s.written);
    ASSERT_TRUE(range) << s.written << ": " << range.error().what;
    EXPECT_EQ(to_string(*range), s.printed) << s.written;
    EXPECT_EQ(parse_ip_range(to_string(*range)), *range) << s.written;
  }
}

TEST(Address, SaysWhatIsWrongAndWhatToWrite) {
  for (const auto& [written, said] : std::vector<std::pair<string, string>>{
           {"203.0.113.7/24",
            "\"203.0.113.7/24\" has bits set below its prefix length: write \"203.0.113.0/24\" for "
            "the network or \"203.0.113.7\" for the one address"},
           {"2001:db8::1/32", "write \"2001:db8::/32\" for the network or \"2001:db8::1\""},
           {"::ffff:10.0.0.1/104", "write \"10.0.0.0/8\" for the network or \"10.0.0.1\""},
           {"::ffff:10.0.0.0/8", "its prefix length is between 96 and 128"},
           {"203.0.113.0/33", "needs a prefix length between 0 and 32"},
           {"203.0.113.0/", "needs a prefix length between 0 and 32"},
           {"203.0.113.0/024", "needs a prefix length between 0 and 32"},
           {"203.0.113.0/-1", "needs a prefix length between 0 and 32"},
           {"203.0.113.0/24x", "needs a prefix length between 0 and 32"},
           {"203.0.113.0/99999999999999999999", "needs a prefix length between 0 and 32"},
           {"2001:db8::/129", "needs a prefix length between 0 and 128"},
           {"10.0.0.0/255.0.0.0", "needs a prefix length after the /, not a mask"},
           {"203.0.113.9-203.0.113.1", "is reversed: write \"203.0.113.1-203.0.113.9\""},
           {"203.0.113.9-2001:db8::1", "mixes IPv4 and IPv6"},
           {"203.0.113.9-", "lacks an address"},
           {"-203.0.113.9", "lacks an address"},
           {"/24", "lacks an address"},
           {"", "lacks an address"},
           {"203.0.113.0/24-203.0.114.0/24", "needs a prefix length after the /"},
           {"fe80::1%eth0", "has a scope (%): leave it out"},
           {"fe80::%eth0/64", "has a scope (%): leave it out"},
           {"010.0.0.1", "has a number with leading zeros"},
           {"10.0.0.1-10.0.0.09", "has a number with leading zeros"},
           {" 10.0.0.1", "has spaces around an address"},
           {"10.0.0.0 /8", "has spaces around an address"},
           {"10.0.0.1-example.com", "has a part that is not an IPv4 or IPv6 address"},
           {"example.com", "\"example.com\" is not an IPv4 or IPv6 address; write e.g."},
           {"\x1b[31mred", "\"\\u001b[31mred\" is not"},
       }) {
    const auto range = parse_ip_range(written);
    ASSERT_FALSE(range) << written;
    EXPECT_NE(range.error().what.find(said), string::npos) << range.error().what;
  }
}

TEST(Address, WhatIsPrintedReadsBack) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Family family = i % 2 == 0 ? Family::ipv4 : Family::ipv6;
    const U128 any = U128{random()} << 64 | random();
    const int bits = static_cast<int>(random() % static_cast<unsigned>(address_bits(family)));
    const U128 width = bits == 0 ? 0 : (U128{1} << bits) - 1;
    U128 first = any & address_max(family);
    if (i % 3 == 0) first &= ~width;
    const U128 last = first + std::min(width, address_max(family) - first);
    const IpRange range{family, first, last};
    EXPECT_EQ(parse_ip_range(to_string(range)), range) << to_string(range);
  }
}

TEST(Address, NoInputCrashes) {
  std::mt19937_64 random(8);
  const string alphabet = "0123456789abcdef.:/-% \xff\0x"s;
  for (int i = 0; i < 100'000; ++i) {
    string text(random() % 24, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const auto range = parse_ip_range(text);
    if (!range) continue;
    EXPECT_LE(range->first, range->last);
    EXPECT_EQ(parse_ip_range(to_string(*range)), *range) << text;
  }
}

}  // namespace
}  // namespace fw
