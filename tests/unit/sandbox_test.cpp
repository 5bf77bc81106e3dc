// Findings about containers, from what a real dockerd answered (tests/unit/docker), and the text
// of the AppArmor profile.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/docker/client.hpp"
#include "fw/docker/container.hpp"
#include "fw/effective/policy.hpp"
#include "fw/plugins/sandbox/apparmor.hpp"
#include "fw/plugins/sandbox/findings.hpp"
#include "tests/unit/samples.hpp"

namespace fw::sandbox {
namespace {

using docker::Container;
using docker::Engine;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string answer(const std::string& name) {
  std::ifstream file(std::string(DOCKER_ANSWERS) + "/" + name + ".json");
  EXPECT_TRUE(file) << name;
  const std::string text(std::istreambuf_iterator<char>(file), {});
  leave_sample("docker", text);
  return text;
}

Container container(const std::string& name) {
  auto parsed = docker::parse_container(answer(name));
  EXPECT_TRUE(parsed) << to_string(parsed.error());
  return parsed ? std::move(*parsed) : Container{};
}

/// One that nothing can be said against; each test takes one thing from it. (The host that answered
/// has no AppArmor.)
Container good() {
  Container c = container("hardened");
  c.apparmor_profile = "docker-default";
  return c;
}
const Engine kEngine{true, true, false, false};

std::map<std::string, FindingSeverity> rules(const std::vector<Finding>& findings) {
  std::map<std::string, FindingSeverity> all;
  for (const Finding& finding : findings) {
    all[finding.rule] = std::max(all[finding.rule], finding.severity);
  }
  return all;
}
std::map<std::string, FindingSeverity> rules(const Container& c, const Engine& engine = kEngine,
                                             const Policy& policy = default_policy()) {
  return rules(findings(c, engine, policy));
}

Container with_mount(const std::string& source, bool writable) {
  Container c = good();
  c.mounts = {{"bind", source, "/inside", writable, "rprivate"}};
  return c;
}
std::map<std::string, FindingSeverity> mounted(const std::string& source, bool writable) {
  return rules(with_mount(source, writable));
}

TEST(DockerAnswers, AreRead) {
  const Container plain = container("plain");
  EXPECT_EQ(plain.name, "plain");
  EXPECT_EQ(plain.image, "lab:1");
  EXPECT_TRUE(plain.running);
  EXPECT_EQ(plain.user, "");
  EXPECT_FALSE(plain.read_only_root || plain.privileged || plain.cpu_limited || plain.health_check);

  const Container hardened = container("hardened");
  EXPECT_TRUE(hardened.read_only_root && hardened.cpu_limited && hardened.health_check);
  EXPECT_EQ(hardened.user, "10001:10001");
  EXPECT_THAT(hardened.cap_drop, ElementsAre("ALL"));
  EXPECT_EQ(hardened.pids_limit, 64);
  EXPECT_EQ(hardened.memory, 64 << 20);
  EXPECT_EQ(hardened.restarts_max, 5);
  EXPECT_THAT(hardened.ports,
              ElementsAre(docker::PublishedPort{Protocol::tcp, "127.0.0.1", 18081, 80}));

  const Container published = container("published");
  EXPECT_THAT(published.ports, Contains(docker::PublishedPort{Protocol::udp, "::", 1514, 514}));
  EXPECT_EQ(published.ports.size(), 6u) << "three ports, each for IPv4 and IPv6";

  const Container privileged = container("privileged");
  EXPECT_TRUE(privileged.privileged);
  EXPECT_FALSE(privileged.running);
  EXPECT_EQ(privileged.service, "web");

  const auto ids = docker::parse_ids(answer("list"));
  ASSERT_TRUE(ids) << to_string(ids.error());
  EXPECT_EQ(ids->size(), 5u);
  EXPECT_THAT(*ids, Contains(plain.id));

  const auto engine = docker::parse_engine(answer("info"));
  ASSERT_TRUE(engine) << to_string(engine.error());
  EXPECT_EQ(*engine, (Engine{false, true, false, false})) << "the lab's kernel has no AppArmor";
}

TEST(DockerAnswers, ThatAreStrangeAreErrors) {
  for (const char* bad :
       {"", "[]", "{", "{}", R"({"Id":"../../etc"})", R"({"Id":"0123456789ab","HostConfig":[]})",
        R"({"Id":"0123456789ab","HostConfig":{"CapAdd":"ALL"}})",
        R"({"Id":"0123456789ab","HostConfig":{"Privileged":"no"}})",
        R"({"Id":"0123456789ab","HostConfig":{"Memory":"much"}})",
        R"({"Id":"0123456789ab","Mounts":[1]})",
        R"({"Id":"0123456789ab","NetworkSettings":{"Ports":{"x/tcp":[{}]}}})"}) {
    const auto parsed = docker::parse_container(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().what, HasSubstr("cannot understand")) << bad;
  }
  std::string many = R"({"Id":"0123456789ab","HostConfig":{"CapAdd":["A")";
  for (std::size_t i = 0; i < kContainerListMax; ++i) many += ",\"A\"";
  EXPECT_FALSE(docker::parse_container(many + "]}}"));
  EXPECT_FALSE(docker::parse_ids(R"([{"Id":"no id"}])"));
}

TEST(Sandbox, NothingAgainstAHardenedContainer) { EXPECT_THAT(rules(good()), IsEmpty()); }

TEST(Sandbox, AContainerWithoutAnyOption) {
  const std::map<std::string, FindingSeverity> expected = {
      {"capabilities-kept", FindingSeverity::low},
      {"new-privileges", FindingSeverity::medium},
      {"root-user", FindingSeverity::medium},
      {"host-cgroups", FindingSeverity::low},
      {"default-bridge", FindingSeverity::low},
      {"root-writable", FindingSeverity::medium},
      {"pids", FindingSeverity::medium},
      {"memory", FindingSeverity::medium},
      {"cpu", FindingSeverity::low},
      {"health-check", FindingSeverity::low}};
  EXPECT_EQ(rules(container("plain"), Engine{false, true, false, false}), expected);
}

TEST(Sandbox, AContainerWithEveryFlaw) {
  const auto found = rules(container("flawed"));
  const std::map<std::string, FindingSeverity> expected = {
      {"docker-socket", FindingSeverity::critical},
      {"capability", FindingSeverity::critical},
      {"host-files-writable", FindingSeverity::critical},
      {"host-files", FindingSeverity::high},
      {"seccomp", FindingSeverity::high},
      {"apparmor", FindingSeverity::high},
      {"host-network", FindingSeverity::high},
      {"host-processes", FindingSeverity::high},
      {"host-ipc", FindingSeverity::medium},
      {"host-name", FindingSeverity::low},
      {"host-cgroups", FindingSeverity::low},
      {"device", FindingSeverity::medium},
      {"device-rule", FindingSeverity::medium},
      {"mount-propagation", FindingSeverity::medium},
      {"capabilities-kept", FindingSeverity::low},
      {"new-privileges", FindingSeverity::medium},
      {"root-user", FindingSeverity::medium},
      {"root-writable", FindingSeverity::medium},
      {"pids", FindingSeverity::medium},
      {"memory", FindingSeverity::medium},
      {"cpu", FindingSeverity::low},
      {"restart", FindingSeverity::low},
      {"health-check", FindingSeverity::low}};
  EXPECT_EQ(found, expected);
}

TEST(Sandbox, APrivilegedContainer) {
  const auto all = findings(container("privileged"), kEngine, default_policy());
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front().rule, "privileged");
  EXPECT_EQ(all.front().severity, FindingSeverity::critical);
  EXPECT_EQ(all.front().compose, "in web: privileged: false") << "the service of Compose";
  Container c = good();
  c.privileged = true;
  c.cap_add = {"SYS_ADMIN"};
  c.apparmor_profile = "unconfined";
  EXPECT_THAT(rules(c), ElementsAre(std::pair{"privileged", FindingSeverity::critical}))
      << "said once";
}

TEST(Sandbox, TheGravestComesFirstAndEachSaysWhatEndsIt) {
  const auto found = findings(container("flawed"), kEngine, default_policy());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_GE(found[i == 0 ? 0 : i - 1].severity, found[i].severity);
    EXPECT_EQ(found[i].subject, "flawed");
    EXPECT_FALSE(found[i].what.empty() || found[i].impact.empty() || found[i].fix.empty() ||
                 found[i].compose.empty())
        << found[i].rule;
  }
}

TEST(Sandbox, WhatAHostsFilesAreWorth) {
  using Rules = std::map<std::string, FindingSeverity>;
  const Rules socket = {{"docker-socket", FindingSeverity::critical}};
  EXPECT_EQ(mounted("/var/run/docker.sock", true), socket);
  EXPECT_EQ(mounted("/run/docker.sock", false), socket) << "read-only does not help";
  EXPECT_EQ(mounted("/var/run/", false), socket) << "the folder that holds it";
  EXPECT_EQ(mounted("/srv/../run//docker.sock", true), socket);
  EXPECT_EQ(mounted("/", false), (Rules{{"host-files", FindingSeverity::critical}}));
  EXPECT_EQ(mounted("/", true), (Rules{{"host-files-writable", FindingSeverity::critical}}));
  EXPECT_EQ(mounted("/etc/", true), (Rules{{"host-files-writable", FindingSeverity::critical}}));
  EXPECT_EQ(mounted("/etc/ssh", false), (Rules{{"host-files", FindingSeverity::high}}));
  EXPECT_EQ(mounted("/var/lib", true), (Rules{{"host-files-writable", FindingSeverity::critical}}));
  EXPECT_EQ(mounted("/etc/localtime", false), Rules{});
  EXPECT_EQ(mounted("/etc/localtime", true),
            (Rules{{"host-files-writable", FindingSeverity::critical}}));
  EXPECT_EQ(mounted("/etcetera", true), Rules{});
  EXPECT_EQ(mounted("/srv/wiki", true), Rules{});
  Container volume = with_mount("/var/lib/docker/volumes/wiki/_data", true);
  volume.mounts[0].type = "volume";
  EXPECT_EQ(rules(volume), Rules{}) << "Docker's own";
}

TEST(Sandbox, WhoIsRoot) {
  for (const char* root : {"", "root", "0", "00", "0:10001", "root:users"}) {
    Container c = good();
    c.user = root;
    EXPECT_THAT(rules(c), ElementsAre(std::pair{"root-user", FindingSeverity::medium})) << root;
  }
  for (const char* other : {"1", "100", "www-data", "10:0"}) {
    Container c = good();
    c.user = other;
    EXPECT_THAT(rules(c), IsEmpty()) << other;
  }
}

TEST(Sandbox, UserNamespaces) {
  const Engine mapped{true, true, true, false};
  Container c = good();
  c.user = "";
  EXPECT_EQ(rules(c, mapped).at("root-user"), FindingSeverity::low);
  c.userns_mode = "host";
  EXPECT_EQ(rules(c, mapped).at("root-user"), FindingSeverity::medium);
  EXPECT_EQ(rules(c, mapped).at("user-namespace"), FindingSeverity::high);
  EXPECT_FALSE(rules(c).contains("user-namespace")) << "there is none to leave";
}

TEST(Sandbox, CapabilitiesByEveryName) {
  for (const char* name : {"SYS_ADMIN", "CAP_SYS_ADMIN", "sys_admin", "cap_sys_admin", "ALL"}) {
    Container c = good();
    c.cap_add = {name};
    EXPECT_THAT(rules(c), ElementsAre(std::pair{"capability", FindingSeverity::critical})) << name;
  }
  Container c = good();
  c.cap_add = {"NET_BIND_SERVICE", "CHOWN"};
  EXPECT_THAT(rules(c), IsEmpty()) << "those that Docker gives by itself";
  c.cap_add = {"NET_ADMIN"};
  EXPECT_EQ(rules(c).at("capability"), FindingSeverity::high);
  c.network_mode = "host";
  EXPECT_EQ(rules(c).at("capability"), FindingSeverity::critical) << "it opens the host's firewall";
}

TEST(Sandbox, SecurityOptions) {
  Container c = good();
  c.security_opt = {"no-new-privileges:true"};
  EXPECT_THAT(rules(c), IsEmpty());
  c.security_opt = {"no-new-privileges=false"};
  EXPECT_EQ(rules(c).at("new-privileges"), FindingSeverity::medium);
  EXPECT_THAT(rules(c, {true, true, false, true}), IsEmpty()) << "the daemon says so for all";
  c.security_opt = {"no-new-privileges", "seccomp:unconfined"};
  EXPECT_EQ(rules(c).at("seccomp"), FindingSeverity::high);
  c = good();
  c.apparmor_profile = "unconfined";
  EXPECT_EQ(rules(c).at("apparmor"), FindingSeverity::high);
  c.apparmor_profile = "";
  EXPECT_EQ(rules(c).at("apparmor"), FindingSeverity::high)
      << "the host has it, the container does not";
  EXPECT_THAT(rules(c, {false, true, false, false}), IsEmpty()) << "that is said of the engine";
}

TEST(Sandbox, PublishedPortsBesideThePolicy) {
  const Container c = container("published");
  const auto closed = findings(c, kEngine, default_policy());
  const auto said = [&](const std::vector<Finding>& all, const std::string& rule) {
    std::set<std::string> texts;
    for (const Finding& f : all) {
      if (f.rule == rule) texts.insert(std::string(to_string(f.severity)) + " " + f.compose);
    }
    return texts;
  };
  EXPECT_THAT(said(closed, "port-closed"), ElementsAre("low ports: [\"127.0.0.1:13306:3306\"]",
                                                       "low ports: [\"127.0.0.1:1514:514/udp\"]",
                                                       "low ports: [\"127.0.0.1:18080:80\"]"));
  EXPECT_THAT(said(closed, "port-open"), IsEmpty());
  const Parsed parsed =
      parse_policy("[ports]\ntcp = [22, 18080, 13306]\nudp = [514]\n", "policy.toml");
  ASSERT_TRUE(parsed.ok());
  const auto open = findings(c, kEngine, parsed.policy);
  EXPECT_THAT(said(open, "port-open"), ElementsAre("high ports: [\"127.0.0.1:13306:3306\"]",
                                                   "low ports: [\"127.0.0.1:18080:80\"]"))
      << "a database is worse";
  EXPECT_THAT(said(open, "port-closed"), ElementsAre("low ports: [\"127.0.0.1:1514:514/udp\"]"))
      << "the port that outsiders ask for counts";
}

TEST(Sandbox, ImagesThatMove) {
  for (const char* image : {"nginx", "nginx:latest", "localhost:5000/nginx"}) {
    Container c = good();
    c.image = image;
    EXPECT_THAT(rules(c), ElementsAre(std::pair{"image-latest", FindingSeverity::low})) << image;
  }
  for (const char* image :
       {"nginx:1.25", "localhost:5000/nginx:1", "nginx@sha256:00", "sha256:4c63a7e04b81"}) {
    Container c = good();
    c.image = image;
    EXPECT_THAT(rules(c), IsEmpty()) << image;
  }
}

TEST(Sandbox, AStrangersTextCannotHideNorPaint) {
  Container c = good();
  c.name = "\x1b[2Jfine";
  c.user = "0";
  c.image = "x\n\x1b[31m";
  c.cap_add = {"\x1b[0mBAD"};
  c.device_rules = {"c *:* rwm\r"};
  c.mounts = {{"bind", "/etc/\x1b[1m", "/a\nb", true, "shared"}};
  for (const Finding& f : findings(c, kEngine, default_policy())) {
    for (const std::string& text : {f.subject, f.what, f.impact, f.fix, f.compose}) {
      EXPECT_EQ(text.find_first_of("\x1b\n\r"), std::string::npos) << f.rule << ": " << text;
    }
  }
  // A thousand harmless mounts in front do not push the one that counts out.
  c = good();
  for (int i = 0; i < 1000; ++i) {
    c.mounts.push_back({"bind", "/var/log/" + std::to_string(i), "/x", false, "rprivate"});
  }
  c.mounts.push_back({"bind", "/run/docker.sock", "/x", false, "rprivate"});
  const auto found = findings(c, kEngine, default_policy());
  EXPECT_EQ(found.front().rule, "docker-socket");
  EXPECT_EQ(found.size(), kFindingsMax + 1);
  EXPECT_EQ(found.back().what, "937 more findings are not shown");
}

TEST(Sandbox, WhatTheEngineLacks) {
  EXPECT_THAT(engine_findings({true, true, true, false}), IsEmpty());
  EXPECT_EQ(rules(engine_findings({false, false, false, false})),
            (std::map<std::string, FindingSeverity>{
                {"engine-seccomp", FindingSeverity::high},
                {"engine-apparmor", FindingSeverity::medium},
                {"engine-user-namespaces", FindingSeverity::medium}}));
}

TEST(AppArmor, AProfileForAnApp) {
  const std::string text = apparmor_profile("wiki");
  EXPECT_THAT(text, HasSubstr("profile cloudron-fw-app-wiki flags="));
  EXPECT_THAT(text, HasSubstr("cloudron-fw render apparmor wiki\n"));
  EXPECT_THAT(apparmor_profile(""), HasSubstr("profile cloudron-fw-app flags="));
  for (const char* rule :
       {"deny mount,", "deny network inet raw,", "deny network inet6 raw,", "deny network packet,",
        "deny /sys/** wkl,", "deny @{PROC}/[^0-9]** wkl,",
        "ptrace (trace, read, tracedby, readby) peer=cloudron-fw-app-wiki,"}) {
    EXPECT_THAT(text, HasSubstr(std::string("  ") + rule + "\n"));
  }
}

TEST(AppArmor, NamesThatCouldBeMoreThanNames) {
  EXPECT_TRUE(is_app_name("wiki"));
  EXPECT_TRUE(is_app_name("a-b_2"));
  for (const char* bad : {"", "Wiki", "1st", "a b", "a{", "a\n", "../x", "aaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(is_app_name(bad)) << bad;
  }
}

}  // namespace
}  // namespace fw::sandbox
