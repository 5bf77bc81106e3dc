// audit and render against a real dockerd, real files and the real apparmor_parser.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <map>
#include <set>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/docker.hpp"
#include "tests/lab/firewall.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

namespace json = boost::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Rules = std::set<std::string>;

class Audit : public testing::Test {
 protected:
  Output audit(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"audit", "sandbox", "--docker", dockerd.socket()};
    words.insert(words.end(), more.begin(), more.end());
    return fw.run(words);
  }
  /// What is found, by container.
  std::map<std::string, Rules> found(const Output& output) const {
    std::map<std::string, Rules> all;
    const json::value answer = json::parse(output.out);
    for (const json::value& finding : answer.at("findings").as_array()) {
      all[std::string(finding.at("subject").as_string())].emplace(finding.at("rule").as_string());
    }
    return all;
  }
  std::map<std::string, Rules> found() const { return found(audit({"--all", "--json"})); }

  /// Everything that is asked for of a container; a test leaves one thing out or adds one.
  std::vector<std::string> hardened(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"--network",
                                      "apps",
                                      "--read-only",
                                      "--tmpfs",
                                      "/tmp",
                                      "--user",
                                      "10001:10001",
                                      "--cap-drop",
                                      "ALL",
                                      "--security-opt",
                                      "no-new-privileges",
                                      "--pids-limit",
                                      "64",
                                      "--memory",
                                      "64m",
                                      "--cpus",
                                      "0.5",
                                      "--restart",
                                      "on-failure:5",
                                      "--health-cmd",
                                      "true",
                                      "--cgroupns",
                                      "private",
                                      "-p",
                                      "127.0.0.1::80",
                                      "-v",
                                      "/etc/localtime:/etc/localtime:ro"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  Namespace host;
  Firewall fw{host};
  Dockerd dockerd{host};
};

TEST_F(Audit, EveryFlawIsFoundAndNoneInAHardenedContainer) {
  dockerd.docker({"network", "create", "apps"});
  dockerd.start("hardened", hardened());
  dockerd.start("plain", {"-p", "18080:80"});
  dockerd.start("flawed", {"--network",
                           "host",
                           "--pid",
                           "host",
                           "--ipc",
                           "host",
                           "--uts",
                           "host",
                           "--security-opt",
                           "seccomp=unconfined",
                           "--security-opt",
                           "apparmor=unconfined",
                           "--cap-add",
                           "NET_ADMIN",
                           "--device",
                           "/dev/null:/dev/other",
                           "--device-cgroup-rule",
                           "c 1:3 rwm",
                           "-v",
                           dockerd.socket() + ":/var/run/docker.sock",
                           "-v",
                           "/etc:/host/etc",
                           "-v",
                           "/proc:/host/proc:ro",
                           "--restart",
                           "always"});
  dockerd.create("privileged", hardened({"--privileged"}));
  const auto by_container = found();
  EXPECT_FALSE(by_container.contains("hardened"))
      << testing::PrintToString(by_container.at("hardened"));
  EXPECT_EQ(
      by_container.at("plain"),
      (Rules{"capabilities-kept", "new-privileges", "root-user", "host-cgroups", "default-bridge",
             "root-writable", "port-closed", "pids", "memory", "cpu", "health-check"}));
  EXPECT_EQ(by_container.at("flawed"), (Rules{"docker-socket",
                                              "capability",
                                              "host-files-writable",
                                              "host-files",
                                              "seccomp",
                                              "apparmor",
                                              "host-network",
                                              "host-processes",
                                              "host-ipc",
                                              "host-name",
                                              "host-cgroups",
                                              "device",
                                              "device-rule",
                                              "capabilities-kept",
                                              "new-privileges",
                                              "root-user",
                                              "root-writable",
                                              "pids",
                                              "memory",
                                              "cpu",
                                              "restart",
                                              "health-check"}));
  EXPECT_THAT(by_container.at("privileged"), Contains("privileged"));
  EXPECT_THAT(by_container.at("Docker"), Contains("engine-user-namespaces"));
}

/// Each flaw by itself, beside all that is right: the one rule and no other. Also those that need a
/// kernel which the lab may not have, by containers that are made and not run.
TEST_F(Audit, OneFlawIsOneFinding) {
  dockerd.docker({"network", "create", "apps"});
  const std::vector<std::pair<std::string, std::vector<std::string>>> flaws = {
      {"root-user", {"--user", "0"}},
      {"docker-socket", {"-v", "/run/docker.sock:/s:ro"}},
      {"host-files", {"-v", "/etc/ssh:/s:ro"}},
      {"host-files-writable", {"-v", "/etc/cron.d:/s"}},
      {"capability", {"--cap-add", "SYS_ADMIN"}},
      {"seccomp", {"--security-opt", "seccomp=unconfined"}},
      {"host-processes", {"--pid", "host"}},
      {"host-ipc", {"--ipc", "host"}},
      {"host-name", {"--uts", "host"}},
      {"host-cgroups", {"--cgroupns", "host"}},
      {"default-bridge", {"--network", "bridge"}},
      {"device", {"--device", "/dev/full"}},
      {"device-rule", {"--device-cgroup-rule", "b *:* rwm"}},
      {"mount-propagation", {"-v", "/srv:/s:rshared"}},
      {"port-closed", {"-p", "18082:80"}},
      {"port-open", {"-p", "443:80"}},
      {"pids", {"--pids-limit", "-1"}},
      {"restart", {"--restart", "unless-stopped"}},
      {"health-check", {"--no-healthcheck"}},
  };
  for (const auto& [rule, options] : flaws) {
    auto all = hardened(options);
    if (rule == "health-check") std::erase(all, "--health-cmd");
    if (rule == "health-check") std::erase(all, "true");
    if (rule == "default-bridge") all.erase(all.begin(), all.begin() + 2);
    dockerd.create("x-" + rule, all);
  }
  const auto by_container = found();
  for (const auto& [rule, options] : flaws) {
    const auto it = by_container.find("x-" + rule);
    EXPECT_EQ(it == by_container.end() ? Rules{} : it->second, Rules{rule});
  }
}

TEST_F(Audit, TheExitCodeIsTheWorst) {
  dockerd.docker({"network", "create", "apps"});
  const Output medium = audit();
  EXPECT_EQ(medium.exit, 10) << to_string(medium) << "Docker without user namespaces";
  EXPECT_THAT(medium.out, HasSubstr("0 containers: "));
  EXPECT_THAT(medium.out, Not(HasSubstr("\x1b"))) << "no colours in a file";
  dockerd.start("sees", hardened({"--pid", "host"}));
  const Output high = audit();
  EXPECT_EQ(high.exit, 11) << to_string(high);
  EXPECT_THAT(high.out, HasSubstr("without --pid=host"));
  dockerd.create("stopped", hardened({"--privileged"}));
  EXPECT_EQ(audit().exit, 11) << "it does not run";
  const Output critical = audit({"--all"});
  EXPECT_EQ(critical.exit, 12) << to_string(critical);
  EXPECT_THAT(critical.out, HasSubstr("privileged: false"));
}

TEST_F(Audit, WithoutDockerItSaysSo) {
  const Output output = fw.run({"audit", "sandbox", "--docker", fw.dir() / "none.sock"});
  EXPECT_EQ(output.exit, 1);
  EXPECT_THAT(output.err, HasSubstr("no process listens on " + fw.dir() / "none.sock"));
  must_run(host, {"chmod", "-R", "a+rX", fw.dir().path()});  // the policy is for all
  const Output unreadable =
      fw.run_by({"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"},
                {"audit", "sandbox", "--docker", dockerd.socket()});
  EXPECT_EQ(unreadable.exit, 1);
  EXPECT_THAT(unreadable.err, HasSubstr("is for root and the group docker (try: sudo)"));
}

TEST(HostAudit, NamesWhoListensWhereThePolicyOpensNothing) {
  const Namespace host;
  const Firewall fw(host);
  const Server server(host, {22, 6379}, {5353});
  const auto answer = json::parse(fw.run({"audit", "host", "--json"}).out);
  Rules said;
  for (const json::value& finding : answer.at("findings").as_array()) {
    if (finding.at("rule") == "listener") said.emplace(finding.at("what").as_string());
  }
  const std::string me = read_file("/proc/self/comm");
  const std::string who =
      me.substr(0, me.size() - 1) + " (process " + std::to_string(::getpid()) + ")";
  EXPECT_EQ(said, (Rules{who + " listens on tcp/6379, which the policy does not open",
                         who + " listens on udp/5353, which the policy does not open"}));
}

TEST(Render, TheParserTakesEveryProfileWithoutAWarning) {
  const Namespace host;
  Firewall fw(host);
  fw.policy(
      "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\n"
      "[[app]]\nname = \"a_b-9\"\naddresses = [\"172.18.16.3\"]\n");
  const std::string both = fw.must({"render", "apparmor"}).out;
  EXPECT_THAT(both, HasSubstr("\nprofile cloudron-fw-app-wiki "));
  EXPECT_THAT(both, HasSubstr("\nprofile cloudron-fw-app-a_b-9 "));
  for (const std::string app : {"wiki", "a_b-9"}) {
    const std::string file = fw.file(app, fw.must({"render", "apparmor", app}).out);
    // As a kernel that has all of it would compile it, whatever this one has.
    const Output parsed =
        run(host, {"apparmor_parser", "--skip-kernel-load", "--skip-cache", "--warn=all",
                   "--kernel-features", "/etc/apparmor.d/abi/3.0", file});
    EXPECT_TRUE(parsed.ok()) << to_string(parsed);
    EXPECT_EQ(parsed.out + parsed.err, "");
    const Output names = run(host, {"apparmor_parser", "--names", file});
    EXPECT_EQ(names.out, "cloudron-fw-app-" + app + "\n");
  }
  EXPECT_EQ(fw.run({"render", "apparmor", "../x"}).exit, 64);
}

}  // namespace
}  // namespace lab
