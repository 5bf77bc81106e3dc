// [ports] discovery with real peers: avahi for mDNS, minissdpd and upnpc for SSDP.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Peers : public OverFamily {
 protected:
  Peers() {
    for (const auto& [where, n] : {std::pair{&net.host, 1}, {&net.outside, 2}}) {
      ip_commands(*where, fmt::format("address add 192.168.7.{0}/24 dev eth0\n"
                                      "address add fd00:7::{0}/64 dev eth0 nodad\n"
                                      "address add fe80::{0}/64 dev eth0 nodad\n"
                                      "route add 224.0.0.0/4 dev eth0\n",
                                      n));
    }
  }
  bool v4() const { return family() == Family::ipv4; }
  std::uint64_t closed() const { return counter(net.host, "closed"); }

  /// A script with a /run of its own, which ends with it.
  static std::vector<std::string> apart(const std::string& script) {
    return {
        "unshare",       "--mount",
        "--propagation", "private",
        "--pid",         "--fork",
        "--kill-child",  "sh",
        "-ec",           "mount -t tmpfs run /run; mkdir /run/dbus /run/avahi-daemon; " + script};
  }
  /// avahi-daemon as a printer's or the host's own; with D-Bus, through which it is asked.
  std::string avahi(const std::string& name, bool dbus) const {
    const std::string conf = dir / (name + ".conf");
    write_file(conf,
               fmt::format(R"([server]
host-name={}
use-ipv4={}
use-ipv6={}
allow-interfaces=eth0
enable-dbus={}
[publish]
publish-workstation=no
)",
                           name, v4() ? "yes" : "no", v4() ? "no" : "yes", dbus ? "yes" : "no"));
    return fmt::format("avahi-daemon --no-drop-root --no-chroot --no-rlimits --file={}", conf);
  }
  static bool is_up(const Process& avahi) {
    return eventually([&] {
      return (avahi.out_so_far() + avahi.err_so_far()).find("startup complete") !=
             std::string::npos;
    });
  }

  const TempDir dir;
};
BOTH_FAMILIES(Peers);

TEST_P(Peers, NamesOfMdnsAreFoundAndTheHostIs) {
  const Process printer(net.outside, apart("exec " + avahi("printer", false)));
  ASSERT_TRUE(is_up(printer)) << printer.err_so_far();
  const auto resolve = [&] {
    return run(net.host, apart(fmt::format("dbus-daemon --system --fork; {} -D >/run/log 2>&1; "
                                           "avahi-resolve {} -n printer.local",
                                           avahi("host", true), v4() ? "-4" : "-6")));
  };
  fw.apply();
  const Output refused = resolve();
  EXPECT_EQ(refused.out.find("printer.local\t"), std::string::npos) << to_string(refused);
  EXPECT_GT(closed(), 0u);
  fw.apply("[ports]\ndiscovery = true\n");
  const Output found = resolve();
  EXPECT_NE(found.out.find("printer.local\t"), std::string::npos) << to_string(found);

  // The other way round: the host is found.
  const Process host_avahi(net.host, apart("exec " + avahi("host", false)));
  ASSERT_TRUE(is_up(host_avahi)) << host_avahi.err_so_far();
  const Output host_found =
      run(net.outside, apart(fmt::format("dbus-daemon --system --fork; {} -D >/run/log 2>&1; "
                                         "avahi-resolve {} -n host.local",
                                         avahi("laptop", true), v4() ? "-4" : "-6")));
  EXPECT_NE(host_found.out.find("host.local\t"), std::string::npos) << to_string(host_found);
}

/// A service's name that minissdpd is told, in its own way.
constexpr const char* kRegister = R"(
import socket, sys
def word(text): return bytes([len(text)]) + text.encode()
asked = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'
s = socket.socket(socket.AF_UNIX)
s.connect('/run/minissdpd.sock')
s.sendall(b'\x04' + word(asked) + word('uuid:1::' + asked) + word('lab') + word(sys.argv[1]))
)";

TEST_P(Peers, DevicesOfSsdpAreFound) {
  const std::string where =
      v4() ? "http://192.168.7.2:49152/lab.xml" : "http://[fe80::2]:49152/lab.xml";
  write_file(dir / "register", kRegister);
  const Process device(
      net.outside,
      apart(fmt::format("minissdpd -d {} -s /run/minissdpd.sock -p /run/minissdpd.pid & "
                        "until python3 {} {}; do sleep 0.05; done; echo registered; wait",
                        v4() ? "-i 192.168.7.2/24" : "-6 -i eth0", dir / "register", where)));
  ASSERT_TRUE(eventually([&] {
    return device.out_so_far().find("registered") != std::string::npos;
  })) << device.err_so_far();
  const auto search = [&] {
    std::vector<std::string> words{"upnpc"};
    if (!v4()) words.emplace_back("-6");
    words.insert(words.end(), {"-m", v4() ? "192.168.7.1" : "eth0", "-l"});
    return run(net.host, words).out;
  };
  fw.apply();
  const std::string refused = search();
  EXPECT_EQ(refused.find("lab.xml"), std::string::npos) << refused;
  EXPECT_GT(closed(), 0u) << "it was answered";
  fw.apply("[ports]\ndiscovery = true\n");
  const std::string found = search();
  EXPECT_NE(found.find("lab.xml"), std::string::npos) << found << device.err_so_far();
}

}  // namespace
}  // namespace lab
