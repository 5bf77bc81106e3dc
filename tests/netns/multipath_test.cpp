// Multipath TCP (RFC 8684): several subflows, of several addresses, are one connection to a
// program.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Multipath : public OverFamily {
 protected:
  Multipath() {
    for (const Namespace* where : {&net.host, &net.outside}) {
      where->sysctl("mptcp/enabled", "1");
      must_run(*where, {"ip", "mptcp", "limits", "set", "subflow", "1"});
    }
    // The client owns two addresses, and joins every connection by the second.
    const std::string length = family() == Family::ipv4 ? "/32" : "/128";
    for (const unsigned n : {1u, 2u}) {
      ip_commands(net.outside,
                  "address add " + to_string(client(family(), n)) + length + " dev eth0\n");
    }
    must_run(net.outside,
             {"ip", "mptcp", "endpoint", "add", to_string(client(family(), 2)), "subflow"});
  }

  Server server{net.host, {22}, {}, Server::Stream::multipath};
};
BOTH_FAMILIES(Multipath);

TEST_P(Multipath, AJoinIsOneMoreConnectionOfItsAddress) {
  fw.apply(limit_toml("ssh", "22", "outside", "ip", "5/1h"));
  std::vector<Session> open;
  for (std::size_t i = 1; i <= 5; ++i) {
    open.push_back(from(1).with_multipath().session(host(), 22));
    ASSERT_TRUE(open.back().echoes());
    ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 2 * i; }))
        << counter(net.host, "ssh.accepted");
  }
  EXPECT_EQ(server.accepted(22), 5u) << "to the program each is one";
  EXPECT_EQ(from(2).tcp(host(), 22, kShort), Outcome::timed_out) << "its joins were five";
  EXPECT_EQ(from(1).tcp(host(), 22, kShort), Outcome::timed_out);
  EXPECT_EQ(from(3).tcp(host(), 22), Outcome::served);
  for (Session& session : open) EXPECT_TRUE(session.echoes());
}

}  // namespace
}  // namespace lab
