// The host's audit: apt.conf, sshd_config, and what is made of the facts.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/plugins/host/facts.hpp"
#include "fw/plugins/host/findings.hpp"

namespace fw::host_audit {
namespace {

using std::chrono::hours;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

const FileTime kNow{std::chrono::seconds{1'800'000'000}};

AptConf apt(std::string_view text) {
  AptConf conf;
  read_apt_conf(text, conf);
  return conf;
}

TEST(AptConf, IsReadAsAptDoes) {
  EXPECT_THAT(apt("APT::Periodic::Update-Package-Lists \"1\";\n"
                  "APT::Periodic::Unattended-Upgrade \"1\";\n"),
              ElementsAre(Pair("apt::periodic::unattended-upgrade", "1"),
                          Pair("apt::periodic::update-package-lists", "1")));
  EXPECT_THAT(
      apt("APT { Periodic { Unattended-Upgrade \"7\"; // a week\n Verbose 2; }; };\n"
          "/* APT::Periodic::Enable \"0\"; */ # APT::Periodic::Enable \"0\";\n"
          "Acquire::Retries 3;"),
      ElementsAre(Pair("acquire::retries", "3"), Pair("apt::periodic::unattended-upgrade", "7"),
                  Pair("apt::periodic::verbose", "2")));
  EXPECT_THAT(apt("a::b \"1\"; A::B \"2\";"), ElementsAre(Pair("a::b", "2"))) << "the last wins";
  EXPECT_THAT(apt("Unattended-Upgrade::Origins-Pattern { \"x\"; \"y\"; };\nDPkg::Post:: \"z\";"),
              testing::Not(Contains(Pair(HasSubstr("::::"), testing::_))));
  for (const char* broken : {"\"", "{{{", "}}}", "a \"b", "a {", "/*", ";;;", "a::b"}) apt(broken);
}

SshdConfig sshd(const std::string& text, const std::map<std::string, std::string>& files = {}) {
  return parse_sshd_config("/etc/ssh/sshd_config", text, [&](const std::string& pattern) {
    std::vector<IncludedFile> found;
    if (const auto it = files.find(pattern); it != files.end()) {
      found.push_back({it->first, it->second});
    }
    return found;
  });
}

std::string how(const std::string& text, const std::map<std::string, std::string>& files = {}) {
  const auto found = root_by_password(sshd(text, files));
  if (!found) return "no";
  return to_string(found->where) + (found->match.empty() ? "" : " " + found->match);
}

TEST(SshdConfig, RootByPassword) {
  EXPECT_EQ(how(""), "no") << "the default asks root for a key";
  EXPECT_EQ(how("PermitRootLogin yes\n"), "/etc/ssh/sshd_config:1");
  EXPECT_EQ(how("# x\npermitrootlogin=YES # all\n"), "/etc/ssh/sshd_config:2");
  EXPECT_EQ(how("PermitRootLogin \"yes\""), "/etc/ssh/sshd_config:1");
  EXPECT_EQ(how("#PermitRootLogin yes\n"), "no");
  EXPECT_EQ(how("PermitRootLogin no\nPermitRootLogin yes\n"), "no") << "the first wins";
  EXPECT_EQ(how("PermitRootLogin prohibit-password\n"), "no");
  EXPECT_EQ(how("PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no"),
            "no");
  EXPECT_EQ(how("PermitRootLogin yes\nPasswordAuthentication no\n"), "/etc/ssh/sshd_config:1")
      << "PAM asks for the same password";
}

TEST(SshdConfig, MatchAndInclude) {
  EXPECT_EQ(how("Match Address 10.0.0.0/8\n  PermitRootLogin yes\n"),
            "/etc/ssh/sshd_config:2 Address 10.0.0.0/8");
  EXPECT_EQ(how("Match User git\nMatch all\nPermitRootLogin yes\n"), "/etc/ssh/sshd_config:3");
  EXPECT_EQ(how("PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                "Match Host a\nPasswordAuthentication yes\n"),
            "/etc/ssh/sshd_config:5 Host a");
  EXPECT_EQ(how("Include d/*.conf\nPermitRootLogin no\n", {{"d/*.conf", "PermitRootLogin yes"}}),
            "d/*.conf:1")
      << "what is included first wins";
  EXPECT_EQ(how("Match User a\nInclude x\n", {{"x", "PermitRootLogin yes"}}), "x:1 User a");
  EXPECT_EQ(how("Include x\nPermitRootLogin yes", {{"x", "Match User a\nX11Forwarding no\n"}}),
            "/etc/ssh/sshd_config:2")
      << "a Match ends with its file";
  EXPECT_EQ(how("Include x\n", {{"x", "Include x\nPermitRootLogin yes\n"}}), "x:2")
      << "one that includes itself comes to an end";
}

Facts good() {
  Facts facts;
  facts.has_unattended_upgrades = true;
  facts.apt =
      apt("APT::Periodic::Update-Package-Lists \"1\"; APT::Periodic::Unattended-Upgrade "
          "\"1\";");
  facts.upgrades_ran = kNow - hours(20);
  facts.has_sshd = true;
  facts.running = Running{};
  return facts;
}

std::map<std::string, std::string> rules(const Facts& facts,
                                         const Policy& policy = default_policy()) {
  std::map<std::string, std::string> all;
  for (const Finding& finding : findings(facts, policy, kNow)) {
    all[finding.rule] = std::string(to_string(finding.severity)) + ": " + finding.what;
  }
  return all;
}

TEST(HostAudit, NothingAgainstAGoodHost) { EXPECT_THAT(rules(good()), IsEmpty()); }

TEST(HostAudit, Upgrades) {
  Facts facts = good();
  facts.has_unattended_upgrades = false;
  EXPECT_THAT(rules(facts), ElementsAre(Pair("upgrades-missing", HasSubstr("high"))));
  for (const char* off :
       {"APT::Periodic::Unattended-Upgrade \"0\";", "APT::Periodic::Update-Package-Lists \"0\";",
        "APT::Periodic::Enable \"0\";"}) {
    facts = good();
    read_apt_conf(off, facts.apt);
    EXPECT_THAT(rules(facts), ElementsAre(Pair("upgrades-off", HasSubstr("high")))) << off;
  }
  facts = good();
  facts.upgrades_ran.reset();
  EXPECT_THAT(rules(facts), ElementsAre(Pair("upgrades-never-ran", HasSubstr("medium"))));
  facts.upgrades_ran = kNow - hours(24 * 9);
  EXPECT_THAT(rules(facts), ElementsAre(Pair("upgrades-late", HasSubstr("9 days ago"))));
}

TEST(HostAudit, SshForwardingAndReboot) {
  Facts facts = good();
  facts.sshd = sshd("PermitRootLogin yes");
  facts.running->forwards6 = true;
  facts.reboot_required = true;
  facts.reboot_packages = {"linux-image-amd64", "\x1b[31mx"};
  EXPECT_THAT(rules(facts),
              ElementsAre(Pair("forwarding", HasSubstr("low: forwards IPv6")),
                          Pair("reboot", HasSubstr("medium: needs a reboot: linux-image-amd64")),
                          Pair("ssh-root-password", HasSubstr("/etc/ssh/sshd_config:1"))));
  EXPECT_EQ(rules(facts)["reboot"].find('\x1b'), std::string::npos);
  facts.sshd = sshd("Match User root\nPermitRootLogin yes");
  EXPECT_THAT(rules(facts)["ssh-root-password"], HasSubstr("medium"));
  facts.has_sshd = false;
  EXPECT_FALSE(rules(facts).contains("ssh-root-password"));
  const Parsed apps =
      parse_policy("[[app]]\nname = \"a\"\naddresses = [\"172.18.0.9\"]\n", "p.toml");
  ASSERT_TRUE(apps.ok());
  EXPECT_FALSE(rules(facts, apps.policy).contains("forwarding"));
}

TEST(HostAudit, ListenersThatThePolicyDoesNotKnow) {
  Facts facts = good();
  const Ip any4{Family::ipv4, 0};
  const Ip any6{Family::ipv6, 0};
  facts.running->listeners = {{Protocol::tcp, any4, 22, "sshd", 1},
                              {Protocol::tcp, {Family::ipv4, 0x7f000001}, 5432, "postgres", 2},
                              {Protocol::tcp, {Family::ipv6, 1}, 5432, "postgres", 2},
                              {Protocol::tcp, any4, 6379, "redis-server", 3},
                              {Protocol::tcp, any6, 6379, "redis-server", 3},
                              {Protocol::udp, any6, 443, "\x1b[2J", 4}};
  const auto found = findings(facts, default_policy(), kNow);
  ASSERT_EQ(found.size(), 2u) << "one for both families";
  EXPECT_EQ(found[0].what,
            "redis-server (process 3) listens on tcp/6379, which the policy does not open");
  EXPECT_THAT(found[1].what, HasSubstr("udp/443")) << "open for TCP only";
  EXPECT_EQ(found[1].what.find('\x1b'), std::string::npos);
}

/// A system in a folder, as --root takes it.
class Chroot : public testing::Test {
 protected:
  Chroot() : root_(std::filesystem::temp_directory_path() / "cloudron-fw-host-audit-XXXXXX") {
    std::string name = root_.string();
    root_ = ::mkdtemp(name.data());
  }
  ~Chroot() override { std::filesystem::remove_all(root_); }
  void file(const std::string& name, const std::string& text) const {
    const auto path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::filesystem::path root_;
};

TEST_F(Chroot, IsReadWithoutTheRunningSystem) {
  file("usr/bin/unattended-upgrade", "");
  file("usr/sbin/sshd", "");
  file("etc/apt/apt.conf.d/20auto-upgrades",
       "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n");
  file("etc/apt/apt.conf.d/99off.bak", "APT::Periodic::Enable \"0\";");
  file("etc/ssh/sshd_config", "Include sshd_config.d/*.conf\nPermitRootLogin no\n");
  file("etc/ssh/sshd_config.d/50-cloud.conf", "PermitRootLogin yes\n");
  file("run/reboot-required", "");
  file("run/reboot-required.pkgs", "libc6\nlibc6\nlinux-image-amd64\n");
  file("var/lib/apt/periodic/unattended-upgrades-stamp", "");
  const auto facts = read_facts(root_.string());
  ASSERT_TRUE(facts) << to_string(facts.error());
  EXPECT_FALSE(facts->running);
  EXPECT_THAT(facts->unread, IsEmpty());
  EXPECT_TRUE(facts->upgrades_ran.has_value());
  const FileTime ran = *facts->upgrades_ran;
  std::map<std::string, std::string> all;
  for (const Finding& f : findings(*facts, default_policy(), ran)) all[f.rule] = f.what;
  EXPECT_THAT(all, ElementsAre(Pair("reboot", "needs a reboot: libc6, linux-image-amd64"),
                               Pair("ssh-root-password", HasSubstr("50-cloud.conf:1"))));
}

TEST_F(Chroot, MustBeAFolder) {
  const auto facts = read_facts((root_ / "nothing").string());
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, ErrorCode::usage);
}

}  // namespace
}  // namespace fw::host_audit
