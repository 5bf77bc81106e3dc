// `simulate` gives the answers that the kernel gave to the same packets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include <boost/json/parse.hpp>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/raw.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

namespace json = boost::json;

/// What a namespace sends and receives, until it is stopped.
class Capture {
 public:
  Capture(const Namespace& where, const std::string& device, const std::string& file)
      : file_(file),
        tcpdump_(where, {"tcpdump", "-i", device, "-Z", "root", "-U", "--immediate-mode", "-n",
                         "-s", "128", "-B", "16384", "-w", file}) {
    const bool listens = eventually(
        [this] { return tcpdump_.err_so_far().find("listening on") != std::string::npos; });
    if (!listens) fail("tcpdump does not start: " + tcpdump_.err_so_far());
  }
  /// Waits until nothing more comes.
  void stop() {
    std::uintmax_t size = 0;
    const bool done = eventually([&] {
      std::this_thread::sleep_for(300ms);
      return size == std::exchange(size, std::filesystem::file_size(file_));
    });
    if (!done) fail("the capture does not end");
    tcpdump_.kill(SIGINT);
    const Output output = tcpdump_.wait();
    if (output.err.find("\n0 packets dropped by kernel") == std::string::npos) {
      fail("tcpdump lost packets: " + output.err);
    }
  }

 private:
  std::string file_;
  Process tcpdump_;
};

/// Of a limit, or of what was dropped: what the two of them counted.
using Counts = std::map<std::string, std::int64_t>;

Counts counts_of(const json::value& limits, const json::value& dropped, const char* accepted) {
  Counts counts;
  for (const json::value& limit : limits.as_array()) {
    const std::string name(limit.at("name").as_string());
    for (const char* what : {accepted, "refused", "overflowed"}) {
      counts[name + (what == accepted ? " accepted" : std::string(" ") + what)] =
          limit.at(what).to_number<std::int64_t>();
    }
  }
  for (const char* what : {"blocked", "listed", "closed", "isolated", "syn_data"}) {
    const json::value* const count = dropped.as_object().if_contains(what);
    counts[what] = count != nullptr ? count->to_number<std::int64_t>() : 0;
  }
  return counts;
}

class Simulate : public OverFamily {
 protected:
  Counts kernels() const {
    const json::value status = fw.json({"status"});
    return counts_of(status.at("limits"), status.at("dropped"), "accepted");
  }
  Counts simulated(const std::string& capture, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"simulate", capture, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Output output = fw.run(words);
    if (output.exit != 0 && output.exit != 2) fail(to_string(output));
    const json::value result = json::parse(output.out).at("result");
    return counts_of(result.at("limits"), result.at("dropped"), "admitted");
  }
  std::vector<Packet> one_each(Ip who, std::uint8_t protocol, std::uint16_t port, int n) const {
    std::vector<Packet> packets;
    for (int i = 0; i < n; ++i) {
      packets.push_back({who, host(), protocol, static_cast<std::uint16_t>(2000 + i), port,
                         protocol == kTcp ? kSyn : std::uint8_t{0}});
    }
    return packets;
  }
  std::string capture_file() const { return fw.dir() / "capture.pcap"; }

  void judges_like_the_kernel(const std::string& device);

  Server server{net.host, {22, 80, 202, 443, 5001}, {53, 5000}};
};
BOTH_FAMILIES(Simulate);

constexpr const char* kLimitingPolicy =
    "[ports]\ntcp = [22, 80, 202, 443, 5001]\nudp = [53, 5000]\n"
    "[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\n"
    "[[limit]]\nname = \"ssh\"\nports = [22, 202]\nrate = \"3/2s\"\n"
    "[[limit]]\nname = \"web\"\nports = [80, 443]\nrate = \"20/m\"\n"
    "[[limit]]\nname = \"dns\"\nports = [\"udp/53\"]\nrate = \"30/m\"\nburst = 25\n"
    "[[limit]]\nname = \"game\"\nports = [\"udp/5000\", 5001]\nrate = \"4/m\"\n";

void Simulate::judges_like_the_kernel(const std::string& device) {
  fw.file("bad.txt", fw::to_string(stranger(family(), 7)) + "\n");
  fw.apply(kLimitingPolicy);
  fw.must({"block", fw::to_string(stranger(family(), 8))});
  Capture capture(net.host, device, capture_file());
  RawLink link(net);
  // A window that slides, while another client keeps within it.
  std::thread slow([&] { from(9).tries(host(), {22}, {4, 900ms, kShort}); });
  from(1).tries(host(), {22, 202}, {14, 300ms, kShort});
  slow.join();
  // A bucket that is emptied by handshakes that all end at once.
  Handshakes shaken(link, stranger(family(), 1), host(), {80, 443}, 40);
  shaken.finish();
  std::this_thread::sleep_for(300ms);
  from(2).tries(host(), {80, 443}, {25, 10ms, kShort});
  // Datagrams; forged SYNs; closed ports; the blocked and the listed.
  link.send(one_each(stranger(family(), 2), kUdp, 53, 50));
  link.send(one_each(stranger(family(), 3), kUdp, 5000, 10));
  from(3).tries(host(), {5001}, {6, 10ms, kShort});
  link.send(one_each(stranger(family(), 4), kTcp, 22, 100));
  link.send(one_each(stranger(family(), 5), kTcp, 23, 30));
  link.send(one_each(stranger(family(), 5), kUdp, 54, 20));
  // TCP Fast Open: data, and the option twice, which no limited port takes.
  std::vector<Packet> fast = one_each(stranger(family(), 6), kTcp, 443, 10);
  const std::string once = "\x22\x02\x01\x01";
  for (std::size_t i = 0; i < 7; ++i) {
    if (i < 4) fast[i].data = "GET /";
    if (i >= 2) fast[i].options = once + once;
  }
  for (std::size_t i = 7; i < 10; ++i) fast[i].options = once;
  link.send(fast);
  for (const unsigned who : {7u, 8u}) {
    link.send(one_each(stranger(family(), who), kTcp, 443, 10));
    link.send(one_each(stranger(family(), who), kUdp, 53, 10));
  }
  capture.stop();
  const Counts kernel = kernels();
  EXPECT_GT(kernel.at("ssh refused"), 3);
  EXPECT_GT(kernel.at("web refused"), 20);
  EXPECT_EQ(kernel.at("dns accepted"), 25);
  EXPECT_EQ(kernel.at("game accepted"), 4 + 4);
  EXPECT_EQ(kernel.at("closed"), 50);
  EXPECT_EQ(kernel.at("blocked"), 20);
  EXPECT_EQ(kernel.at("syn_data"), 7);
  const Counts simulation = simulated(capture_file(), {"--host", fw::to_string(host())});
  EXPECT_EQ(simulation, kernel);
  EXPECT_EQ(simulated(capture_file()), simulation) << "the host's address is found";
}

TEST_P(Simulate, JudgesLikeTheKernel) { judges_like_the_kernel("eth0"); }
TEST_P(Simulate, JudgesLikeTheKernelInACookedCapture) { judges_like_the_kernel("any"); }

TEST_P(Simulate, JudgesThoseAtOnceLikeTheKernel) {
  fw.apply(
      "[ports]\ntcp = [22, 80]\n[[limit]]\nname = \"web\"\nports = [80]\nrate = \"1000/s\"\n"
      "concurrent = 3\n");
  Capture capture(net.host, "eth0", capture_file());
  for (int round = 0; round < 3; ++round) {
    std::vector<Session> open;
    for (int i = 0; i < 3; ++i) {
      open.push_back(from(1).session(host(), 80));
      EXPECT_TRUE(open.back().echoes());
    }
    from(1).tries(host(), {80}, {2, 10ms, kShort});
    EXPECT_EQ(from(2).tcp(host(), 80), Outcome::served);
    open.clear();
    std::this_thread::sleep_for(100ms);  // until both have said goodbye
  }
  capture.stop();
  const Counts kernel = kernels();
  EXPECT_EQ(kernel.at("web accepted"), 12);
  EXPECT_GE(kernel.at("web refused"), 6);
  EXPECT_EQ(simulated(capture_file(), {"--host", fw::to_string(host())}), kernel);
}

TEST_P(Simulate, JudgesAppsLikeTheKernel) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  App& shop = bridge.add(3);
  App& mysql = bridge.add(10);
  const Server database(mysql.inside, {3306, 3307});
  fw.apply(apps_toml() + app_toml("wiki", wiki, "addons = [\"mysql\"]") +
           app_toml("shop", shop, "addons = []") + addon_toml("mysql", mysql, {3306}) +
           limit_toml("database", "3306", "apps", "app", "6/m"));
  Capture capture(net.host, "br0", capture_file());
  const Client wikis{wiki.inside, wiki.address(family())};
  const Client shops{shop.inside, shop.address(family())};
  wikis.tries(mysql.address(family()), {3306}, {9, 10ms, kShort});
  wikis.tries(mysql.address(family()), {3307}, {2, 10ms, kShort});
  shops.tries(mysql.address(family()), {3306}, {2, 10ms, kShort});
  shops.tries(bridge_address(family()), {443}, {2, 10ms, kShort});
  shops.tries(bridge_address(family()), {9999}, {2, 10ms, kShort});
  capture.stop();
  const Counts kernel = kernels();
  EXPECT_EQ(kernel.at("database accepted"), 6);
  EXPECT_EQ(kernel.at("isolated"), 4);
  EXPECT_EQ(kernel.at("closed"), 2);
  EXPECT_EQ(simulated(capture_file()), kernel);
}

TEST_P(Simulate, TellsPeople) {
  fw.policy("");
  Capture capture(net.host, "eth0", capture_file());
  from(1).tries(host(), {22}, {7, 10ms, kShort});
  capture.stop();
  const std::string svg = fw.dir() / "plot.svg";
  const std::string other =
      fw.file("other.toml", "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"7/10s\"\n");
  const Output told = fw.run({"simulate", capture_file(), "--plot", svg, "--compare", other,
                              "--host", fw::to_string(host())});
  EXPECT_EQ(told.exit, 2) << to_string(told);
  for (const char* part :
       {"refused by ssh, 5/10s: 1 of 1 client\n", "  7/10s\n", "over time", "no longer refused"}) {
    EXPECT_NE(told.out.find(part), std::string::npos) << part << "\nin:\n" << told.out;
  }
  EXPECT_EQ(read_file(svg).find("<svg "), 0u);
  const std::string kept = read_file(capture_file());
  EXPECT_EQ(fw.run({"simulate", capture_file(), "--plot", capture_file()}).exit, 64);
  EXPECT_EQ(read_file(capture_file()), kept) << "a plot took the place of what it is made from";
  const Output same = fw.run(
      {"simulate", capture_file(), "--compare", fw.policy_path(), "--host", fw::to_string(host())});
  EXPECT_TRUE(same.out.ends_with("\n  the same\n")) << same.out;

  const std::string whole = read_file(capture_file());
  write_file(capture_file(), whole.substr(0, whole.size() - 10));
  const Output cut = fw.run({"simulate", capture_file(), "--json"});
  EXPECT_EQ(cut.exit, 3);
  EXPECT_NE(cut.err.find("frame "), std::string::npos) << cut.err;
  EXPECT_EQ(json::parse(cut.out).at("broken").as_array().size(), 1u);
  EXPECT_EQ(fw.run({"simulate", other}).exit, 1);
  EXPECT_EQ(fw.run({"simulate", capture_file(), capture_file()}).exit, 64);
  EXPECT_EQ(fw.run({"simulate", "-", "-"}).exit, 64);
  EXPECT_EQ(fw.run({"simulate", capture_file(), "--plot", "-"}).exit, 64);
}

}  // namespace
}  // namespace lab
