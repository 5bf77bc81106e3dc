// Measures what a frame costs from an app to its addon, through a bridge of the host: without a
// firewall, and with the table of the family bridge for a few apps and for many.
//
// Frames are made by an XDP program at the app's end of its pair, as datapath makes them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include "bench/generator.hpp"
#include "bench/namespaces.hpp"

namespace bench {
namespace {

constexpr unsigned kRounds = 9;
constexpr std::uint32_t kFrames = 200'000;
constexpr std::uint16_t kAddonPort = 3306;

const char* const kUsage = R"(usage: bridge BINARY
Measures frames from an app to its addon, ns each. BINARY is the product's. Needs root and iproute2.
)";

/// The app has 172.18.16.2, the addon 172.18.16.3; neither runs a program. The frames end at the
/// addon's device, before its stack.
const char* const kSetUp = R"(
ip link add br0 address 02:00:00:00:00:09 type bridge
ip address add 172.18.0.1/16 dev br0
ip address add 2001:db8:172::1/64 dev br0 nodad
ip link set br0 up
for i in 2 3; do
  ip link add port$i type veth peer name eth0 address 02:00:00:00:00:0$i netns ${!i}
  ip link set port$i master br0 up
done
)";
const char* const kSetUpEnd = R"(
ip address add 172.18.16.$1/16 dev eth0
ip address add 2001:db8:172::1:$1/64 dev eth0 nodad
ip link set eth0 up
)";

struct Host {
  std::string label;
  std::size_t apps = 0;  ///< 0: no firewall
  NamespacePair pair;    ///< the app sends, the addon receives
  Fd bridge;
  Fd drop;  ///< of what comes to the addon
  std::vector<double> ns4;
  std::vector<double> ns6;
};

std::string policy(std::size_t apps) {
  std::string out =
      "[apps]\nnetwork = [\"172.18.0.0/16\", \"2001:db8:172::/64\"]\n"
      "[[app]]\nname = \"app\"\naddresses = [\"172.18.16.2\", \"2001:db8:172::1:2\"]\n"
      "addons = [\"addon\"]\n[[addon]]\nname = \"addon\"\n"
      "addresses = [\"172.18.16.3\", \"2001:db8:172::1:3\"]\nports = [3306]\n";
  for (std::size_t i = 1; i < apps; ++i) {
    out += fmt::format(
        "[[app]]\nname = \"app{0}\"\naddresses = [\"172.18.{1}.{2}\", \"2001:db8:172::2:{0:x}\"]\n",
        i, 32 + i / 250, 2 + i % 250);
  }
  return out;
}

void set_up(Host& host, const std::filesystem::path& work, const std::string& binary) {
  host.pair.sender = new_namespace();
  host.pair.host = new_namespace();
  host.bridge = new_namespace();
  const auto path = [](const Fd& fd) {
    return fmt::format("/proc/{}/fd/{}", ::getpid(), fd.get());
  };
  run_in(host.bridge,
         {"bash", "-euc", kSetUp, "set-up", "", path(host.pair.sender), path(host.pair.host)});
  run_in(host.pair.sender, {"bash", "-euc", kSetUpEnd, "set-up", "2"});
  run_in(host.pair.host, {"bash", "-euc", kSetUpEnd, "set-up", "3"});
  host.pair.host_mac = {2, 0, 0, 0, 0, 3};
  host.pair.sender_mac = {2, 0, 0, 0, 0, 2};
  enter(host.pair.host);
  host.pair.host_index = static_cast<int>(::if_nametoindex("eth0"));
  host.drop = attach_xdp_drop(host.pair);
  enter(host.bridge);
  turn_on_gro("port2");
  enter(host.pair.sender);
  host.pair.sender_index = static_cast<int>(::if_nametoindex("eth0"));
  if (host.apps != 0) {
    const std::string file = (work / (host.label + ".toml")).string();
    std::ofstream(file) << policy(host.apps);
    run_in(host.bridge,
           {binary, "--policy", file, "--state-dir", (work / host.label).string(), "apply"});
  }
  // What passes br_netfilter meets the table inet, too: datapath measures that. An apply turns it
  // on.
  run_in(host.bridge, {"sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0",
                       "net.bridge.bridge-nf-call-ip6tables=0"});
}

std::uint64_t received(const Host& host) {
  const std::string said =
      run_in(host.bridge, {"bash", "-c",
                           "ip -j -s link show port3 | grep -o '\"tx\":{[^}]*' | grep -o "
                           "'packets\":[0-9]*' | cut -d: -f2"});
  return std::stoull(said);
}

double measure(const Host& host, Family family) {
  Stream stream;
  stream.family = family;
  stream.tcp = true;
  stream.tcp_flags = kTcpAck;
  stream.destination_port = kAddonPort;
  const bool ip4 = family == Family::ip4;
  stream.source =
      ip4 ? std::vector<std::uint8_t>{172, 18, 16, 2}
          : std::vector<std::uint8_t>{0x20, 1, 0xd, 0xb8, 1, 0x72, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2};
  stream.destination = stream.source;
  stream.destination.back() = 3;
  stream.source_base = ip4 ? 0x1002 : 0;
  stream.port_base = 20'000;
  enter(host.pair.sender);
  Generator generator(stream, host.pair);
  return generator.send(kFrames);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run(const std::string& binary) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1, &set);
  if (::sched_setaffinity(0, sizeof set, &set) < 0) fail("cannot pin this process to a CPU");

  std::string name = "/tmp/bridge.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) fail("cannot make a folder");
  const std::filesystem::path work = name;
  std::vector<Host> hosts(3);
  hosts[0].label = "none";
  hosts[1].label = "2 apps";
  hosts[1].apps = 2;
  hosts[2].label = "1000 apps";
  hosts[2].apps = 1000;
  for (Host& host : hosts) set_up(host, work, binary);
  for (unsigned round = 0; round < kRounds; ++round) {
    for (Host& host : hosts) {
      host.ns4.push_back(measure(host, Family::ip4));
      host.ns6.push_back(measure(host, Family::ip6));
    }
  }
  for (const Host& host : hosts) {
    fmt::print("{:>10}: IPv4 {:.0f} ns, IPv6 {:.0f} ns; {} frames came\n", host.label,
               median(host.ns4), median(host.ns6), received(host));
  }
  std::filesystem::remove_all(work);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "{}", bench::kUsage);
    return 2;
  }
  try {
    return bench::run(std::filesystem::absolute(argv[1]).string());
  } catch (const std::exception& error) {
    fmt::print(stderr, "bridge: {}\n", error.what());
    return 1;
  }
}
