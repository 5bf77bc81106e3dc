// packaging/install on a real machine: what it looks at before it changes anything.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/e2e/machine.hpp"
#include "tests/e2e/ssh.hpp"
#include "tests/lab/vpn.hpp"

namespace lab {
namespace {

class Install : public OverFamily {
 protected:
  Install() { net.outside.sysctl("ipv6/ip_nonlocal_bind", "1"); }  // for ssh -b

  static bool says(const Output& output, const std::string& what) {
    return (output.out + output.err).find(what) != std::string::npos;
  }
  bool is_installed() const { return machine.run({"test", "-e", "/usr/sbin/cloudron-fw"}).ok(); }

  /// Prints the links that lead nowhere, but those to other hosts.
  static constexpr const char* kDeadLinks = R"(
set -eo pipefail
cd /usr/share/doc/cloudron-fw
find . -name '*.md' | while read -r page; do
  { grep -o ']([^)#]*' "$page" || true; } | cut -c3- | while read -r link; do
    [[ -z $link || $link == http* || -e $(dirname "$page")/$link ]] || echo "$page: $link"
  done
done
)";

  Machine machine{net.host};
};
BOTH_FAMILIES(Install);

TEST_P(Install, FirewalldIsNamedAndAPacketMustPassBoth) {
  machine.must({"systemctl", "start", "firewalld"});
  const Output output = machine.run({Machine::kInstall});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_TRUE(says(output, "firewalld is active")) << to_string(output);
  const Server server(net.host, {22, 80});
  EXPECT_NE(from(1).tcp(host(), 80, kShort), Outcome::served) << "firewalld does not open it";
  machine.must({"firewall-cmd", "--add-port=80/tcp", "--add-port=9100/tcp"});
  const Server closed(net.host, {9100});
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out) << "the policy does not open it";
  const Output status = machine.run({"cloudron-fw", "verify"});
  EXPECT_EQ(status.exit, 0) << "neither touches the other's rules: " << to_string(status);
  EXPECT_TRUE(machine.run({"firewall-cmd", "--state"}).ok());
}

TEST_P(Install, WithoutItNothingIsSaidOfFirewalld) {
  const Output output = machine.run({Machine::kInstall});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_FALSE(says(output, "firewalld")) << to_string(output);
  const std::string completion = "/usr/share/bash-completion/completions/cloudron-fw";
  EXPECT_TRUE(machine.run({"grep", "-q", "^complete -F", completion}).ok());
  for (const char* unit : {"cloudron-fw", "cloudron-fwd", "cloudron-fw-services",
                           "cloudron-fw-certs.timer", "cloudron-fw-sites.path"}) {
    EXPECT_TRUE(machine.run({"systemctl", "is-active", unit}).ok()) << unit;
  }
}

TEST_P(Install, WhereSystemdDoesNotAnswerNothingIsHalfDone) {
  machine.must({"rm", "/run/systemd/private", "/run/dbus/system_bus_socket"});
  const Output output = machine.run({Machine::kInstall});
  EXPECT_EQ(output.exit, 1) << to_string(output);
  EXPECT_TRUE(says(output, "systemd does not answer")) << to_string(output);
  EXPECT_FALSE(is_installed());
}

TEST_P(Install, WhereSystemdDoesNotAnswerItIsUninstalledAllTheSame) {
  machine.must({Machine::kInstall});
  machine.must({"systemctl", "stop", "cloudron-fwd"});
  machine.must({"rm", "/run/systemd/private", "/run/dbus/system_bus_socket"});
  const Output output = machine.run({Machine::kUninstall});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_TRUE(says(output, "systemd does not answer")) << to_string(output);
  EXPECT_FALSE(is_installed());
  EXPECT_FALSE(
      machine.run({"test", "-L", "/etc/systemd/system/sysinit.target.wants/cloudron-fw.service"})
          .ok());
  const Server server(net.host, {9100});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served) << "the rules are gone";
}

TEST_P(Install, EveryLinkOfAnInstalledDocumentLeadsToAnother) {
  machine.must({Machine::kInstall});
  const Output output = machine.run({"bash", "-c", kDeadLinks});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_EQ(output.out, "");
}

TEST_P(Install, ListenersOfWhatIsOpenForSomeAreNotSaidToClose) {
  machine.file("/etc/cloudron-fw/policy.toml",
               "[[open]]\nports = [9100, \"udp/5000-5010\"]\nfrom = [\"192.0.2.0/24\"]\n");
  const Server server(net.host, {80, 9100, 9101}, {5003, 6000});
  const Output output = machine.run({Machine::kInstall});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_TRUE(says(output, "open for some sources or interfaces from now on: TCP 9100"))
      << to_string(output);
  EXPECT_TRUE(says(output, "open for some sources or interfaces from now on: UDP 5000-5010"))
      << to_string(output);
  for (const char* closed : {"TCP 9101", "UDP 6000"}) {
    EXPECT_TRUE(says(output, fmt::format("closed from now on: {} ", closed))) << to_string(output);
  }
  for (const char* open : {"TCP 80 ", "TCP 9100 ", "UDP 5003 "}) {
    EXPECT_FALSE(says(output, fmt::format("closed from now on: {}", open))) << to_string(output);
  }
}

/// An sshd of the machine, and sessions in which packaging/install is typed.
class InstallOverSsh : public Install {
 protected:
  SshSession open(unsigned n) {
    return {net.outside, ssh_words(sshd, client(family(), n), host()), sshd.socket()};
  }
  SshSession by_vpn() {
    return {vpn.peer(), ssh_words(sshd, Vpn::peer_address(family()), Vpn::host_address(family())),
            sshd.socket()};
  }
  void open_for(const std::string& who) const {
    machine.file("/etc/cloudron-fw/policy.toml",
                 "[ports]\ntcp = [80]\n[[open]]\nports = [22]\n" + who + "\n");
  }

  Vpn vpn{net.host};
  Sshd sshd{net.host, machine.words({}), Machine::kOutside};
};
BOTH_FAMILIES(InstallOverSsh);

TEST_P(InstallOverSsh, ASessionThatIsNotAmongTheSomeIsNotCut) {
  open_for("interfaces = [\"wg0\"]");
  const SshSession session = open(1);
  const Output output = session.typed(Machine::kInstall);
  EXPECT_EQ(output.exit, 1) << to_string(output);
  EXPECT_TRUE(says(output, "the policy opens that port only by wg0")) << to_string(output);
  EXPECT_TRUE(says(output, "nothing was installed")) << to_string(output);
  EXPECT_FALSE(is_installed());
  EXPECT_TRUE(session.works());
}

TEST_P(InstallOverSsh, ASessionThatIsAmongThemGoesOn) {
  open_for("interfaces = [\"wg0\"]");
  const SshSession session = by_vpn();
  const Output output = session.typed(Machine::kInstall);
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_TRUE(is_installed());
  EXPECT_TRUE(eventually([&] { return session.works(); }));
  EXPECT_TRUE(eventually([&] { return by_vpn().works(); })) << "and it can come in again";
  EXPECT_FALSE(says(output, "closed from now on: TCP 22 ")) << to_string(output);
}

}  // namespace
}  // namespace lab
