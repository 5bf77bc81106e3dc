// Measures what a packet costs on its way into a host, for several firewall rulesets.
//
// The sender's packets are made by an XDP program in the kernel and enter the host through a veth
// pair, NAPI and GRO, on the one CPU that this process is pinned to: what the kernel's loop takes
// is the cost of generator, receive path and ruleset together. The variant xdp-drop shows how much
// of it is the generator's.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/generator.hpp"
#include "bench/namespaces.hpp"

namespace bench {
namespace {

constexpr std::size_t kListedAddresses = 100'000;
constexpr std::size_t kListedPrefixes = 50'000;
constexpr std::uint32_t kTrafficSources = 32'768;  // of the listed addresses
constexpr std::uint32_t kProbePackets = 256;
constexpr int kTries = 3;

const char* const kUsage = R"(usage: datapath [options]
  --variant LABEL[=SCRIPT[,ARGUMENT...]]  a ruleset; repeat. xdp-drop is built in
  --scripts DIR      where the variants' scripts are
  --work-dir DIR     an existing folder for address lists and state; its owner removes it
  --rows NAME,...    only these rows (a name without /4 or /6 is both)
  --rounds N         rounds over all rows and variants (9)
  --packets N        packets a measurement (98304); bounds the conntrack entries, too
  --connections N    whole connections a measurement (8192)
  --cpu N            the CPU to work on (the last)
  --json             JSON on stdout instead of the table
)";

// ---- rows ---------------------------------------------------------------------------------------

enum class Kind : std::uint8_t { blocked, fresh, established, connection };

struct Row {
  std::string name;
  Kind kind = Kind::blocked;
  Family family = Family::ip4;
  Stream stream;  // complete but for an established flow
  std::uint16_t port = 0;
};

std::vector<std::uint8_t> address(Family family, const char* text) {
  std::vector<std::uint8_t> bytes(family == Family::ip4 ? 4 : 16);
  if (::inet_pton(family == Family::ip4 ? AF_INET : AF_INET6, text, bytes.data()) != 1) {
    errno = 0;
    fail(fmt::format("not an address: {}", text));
  }
  return bytes;
}

Stream to_host(Family family, bool tcp, std::uint16_t port) {
  Stream stream;
  stream.family = family;
  stream.tcp = tcp;
  stream.tcp_flags = kTcpSyn;
  stream.sequence = 0x01020304;
  stream.destination_port = port;
  stream.destination = address(family, family == Family::ip4 ? "203.0.113.1" : "2001:db8:ffff::1");
  stream.port_base = 1024;
  stream.port_mask = 0x3fff;
  return stream;
}

/// Every second address of 198.18.0.0/16, or ::1 of every second /64 of 2001:db8:1::/48;
/// write_lists lists the same.
Stream from_listed(Stream stream) {
  stream.source =
      address(stream.family, stream.family == Family::ip4 ? "198.18.0.0" : "2001:db8:1::1");
  stream.source_base = 1;
  stream.source_mask = kTrafficSources - 1;
  stream.source_shift = 1;
  stream.port_skip = 15;
  return stream;
}

Stream from_listed_prefix(Stream stream) {
  const bool ip4 = stream.family == Family::ip4;
  stream.source = address(stream.family, ip4 ? "203.0.113.0" : "2001:db8:4::1");
  stream.source_base = ip4 ? 0x71c0 : 0;
  stream.source_mask = 0xf;
  stream.port_skip = 4;
  return stream;
}

Stream from_one_listed(Stream stream) {
  stream = from_listed(std::move(stream));
  stream.source_mask = 0;
  stream.port_skip = 0;
  return stream;
}

/// Three packets a source at most with the default number of packets: no limit is reached. Rounds
/// take turns with another half of 198.19.0.0/16 (see measure_once): sources that a ruleset
/// remembers from the round before are not met again at once, as in life.
Stream from_fresh(Stream stream) {
  stream.source =
      address(stream.family, stream.family == Family::ip4 ? "198.19.0.0" : "2001:db8:2::1");
  stream.source_mask = kTrafficSources - 1;
  stream.port_skip = 15;
  return stream;
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const Family family : {Family::ip4, Family::ip6}) {
    const char* suffix = family == Family::ip4 ? "/4" : "/6";
    auto add = [&](const char* name, Kind kind, Stream stream) {
      const std::uint16_t port = stream.destination_port;
      rows.push_back({fmt::format("{}{}", name, suffix), kind, family, std::move(stream), port});
    };
    add("udp-blocked", Kind::blocked, from_listed(to_host(family, false, 9)));
    add("udp-blocked-one", Kind::blocked, from_one_listed(to_host(family, false, 9)));
    add("udp-blocked-prefix", Kind::blocked, from_listed_prefix(to_host(family, false, 9)));
    add("syn80-blocked", Kind::blocked, from_listed(to_host(family, true, 80)));
    add("syn80-new", Kind::fresh, from_fresh(to_host(family, true, 80)));
    add("syn22-new", Kind::fresh, from_fresh(to_host(family, true, 22)));
    add("established", Kind::established, to_host(family, true, 80));
    if (family == Family::ip4) add("connection", Kind::connection, to_host(family, true, 80));
  }
  return rows;
}

bool is_prefix_row(const Row& row) { return row.name.starts_with("udp-blocked-prefix"); }

// ---- sockets ------------------------------------------------------------------------------------

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  Endpoint(Family family, const std::vector<std::uint8_t>& ip, std::uint16_t port) {
    if (family == Family::ip4) {
      auto* in = reinterpret_cast<sockaddr_in*>(&storage);
      in->sin_family = AF_INET;
      in->sin_port = htons(port);
      std::copy(ip.begin(), ip.end(), reinterpret_cast<std::uint8_t*>(&in->sin_addr));
      size = sizeof *in;
    } else {
      auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
      in->sin6_family = AF_INET6;
      in->sin6_port = htons(port);
      std::copy(ip.begin(), ip.end(), in->sin6_addr.s6_addr);
      size = sizeof *in;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Fd tcp_socket(Family family) {
  Fd fd(::socket(family == Family::ip4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail("cannot open a socket");
  return fd;
}

template <class T>
void set_option(const Fd& socket, int level, int option, const T& value, const char* what) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) < 0) fail(what);
}

/// With a backlog of 0 the listener drops every SYN (cookies are off): the packet passes the whole
/// firewall and is confirmed by conntrack, and the answer's cost stays out of the measurement.
Fd listen_on(const NamespacePair& pair, Family family, std::uint16_t port, int backlog) {
  enter(pair.host);
  Fd listener = tcp_socket(family);
  set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1, "cannot reuse a port");
  if (family == Family::ip6) set_option(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1, "no IPv6");
  const Endpoint any(family, std::vector<std::uint8_t>(family == Family::ip4 ? 4 : 16), port);
  if (::bind(listener.get(), any.get(), any.size) < 0 || ::listen(listener.get(), backlog) < 0) {
    fail("cannot listen");
  }
  set_option(listener, SOL_SOCKET, SO_RCVTIMEO, timeval{2, 0}, "no timeout");
  return listener;
}

void connect_to(const Fd& socket, const Row& row) {
  const Endpoint host(row.family, row.stream.destination, row.port);
  if (::connect(socket.get(), host.get(), host.size) < 0) fail("the host does not answer");
}

Fd accept_from(const Fd& listener) {
  Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (accepted.get() < 0) fail("the host has no connection");
  return accepted;
}

/// A connection of real sockets and the ACK that its client would send next.
struct Established {
  Fd client;
  Fd server;
  Stream stream;
};

std::uint32_t queue_sequence(const Fd& socket, int queue) {
  set_option(socket, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue, "no TCP repair queue");
  std::uint32_t sequence = 0;
  socklen_t size = sizeof sequence;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_QUEUE_SEQ, &sequence, &size) < 0) {
    fail("no sequence number");
  }
  return sequence;
}

Established establish(const NamespacePair& pair, const Row& row) {
  const Fd listener = listen_on(pair, row.family, row.port, 8);
  enter(pair.sender);
  Established flow{tcp_socket(row.family), {}, row.stream};
  connect_to(flow.client, row);
  flow.server = accept_from(listener);
  char byte = 'x';
  for (int i = 0; i < 4; ++i) {
    if (::send(flow.client.get(), &byte, 1, 0) != 1 ||
        ::recv(flow.server.get(), &byte, 1, 0) != 1 ||
        ::send(flow.server.get(), &byte, 1, 0) != 1 ||
        ::recv(flow.client.get(), &byte, 1, 0) != 1) {
      fail("the connection does not work");
    }
  }
  ::usleep(60'000);  // let the delayed ACK go first

  set_option(flow.client, IPPROTO_TCP, TCP_REPAIR, int{TCP_REPAIR_ON}, "no TCP repair");
  flow.stream.sequence = queue_sequence(flow.client, 2);        // TCP_SEND_QUEUE
  flow.stream.acknowledgment = queue_sequence(flow.client, 1);  // TCP_RECV_QUEUE
  set_option(flow.client, IPPROTO_TCP, TCP_REPAIR, int{TCP_REPAIR_OFF_NO_WP}, "no TCP repair");

  flow.stream.tcp_flags = kTcpAck;
  flow.stream.port_mask = 0;
  flow.stream.source_mask = 0;
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  ::getsockname(flow.client.get(), reinterpret_cast<sockaddr*>(&local), &size);
  if (row.family == Family::ip4) {
    flow.stream.source = address(row.family, "203.0.113.2");
    flow.stream.source_base = 0x7102;
    flow.stream.port_base = ntohs(reinterpret_cast<const sockaddr_in&>(local).sin_port);
  } else {
    flow.stream.source = address(row.family, "2001:db8:ffff::2");
    flow.stream.source_base = 0;
    flow.stream.port_base = ntohs(reinterpret_cast<const sockaddr_in6&>(local).sin6_port);
  }
  return flow;
}

/// Connects from 64 addresses in turn, accepts, and resets from the client's side.
void make_connections(const Row& row, const Fd& listener, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const Fd client = tcp_socket(row.family);
    set_option(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "no late port");
    set_option(client, SOL_SOCKET, SO_LINGER, linger{1, 0}, "no linger");
    const Endpoint source(row.family, {203, 0, 113, static_cast<std::uint8_t>(64 + (i & 63))}, 0);
    if (::bind(client.get(), source.get(), source.size) < 0) fail("cannot bind");
    connect_to(client, row);
    const Fd server = accept_from(listener);
  }
}

// ---- variants -----------------------------------------------------------------------------------

struct Variant {
  std::string label;
  std::string script;  ///< "": built in
  std::vector<std::string> arguments;
  NamespacePair pair;
  Fd xdp;
  /// What the script says that it does; see variants/README.md.
  bool tracks = false;
  bool blocks = false;
  bool blocks_prefixes = false;

  bool drops_all() const { return script.empty(); }
  bool drops(const Row& row) const {
    if (drops_all()) return true;
    if (row.kind != Kind::blocked) return false;
    return is_prefix_row(row) ? blocks_prefixes : blocks;
  }
  bool has(const Row& row) const {
    if (drops_all()) return row.kind != Kind::connection;
    return !is_prefix_row(row) || blocks_prefixes || !blocks;
  }
};

std::string isolated_address(std::mt19937& random) {
  // Even addresses only: two neighbours could be merged into one entry.
  for (;;) {
    const std::uint32_t value = static_cast<std::uint32_t>(random()) & ~1U;
    const std::uint32_t top = value >> 24;
    const bool used = top == 0 || top == 10 || top == 127 || top == 172 || top == 192 ||
                      top == 198 || top == 203 || top >= 224;
    if (used) continue;
    return fmt::format("{}.{}.{}.{}", top, value >> 16 & 255, value >> 8 & 255, value & 255);
  }
}

/// addresses4, addresses6, prefixes4 and prefixes6, one a line, the same in every run.
void write_lists(const std::filesystem::path& folder) {
  std::mt19937 random(20260101);
  std::vector<std::string> addresses4, addresses6, prefixes4, prefixes6;
  for (std::uint32_t i = 0; i < kTrafficSources; ++i) {
    const std::uint32_t word = 2 * i + 1;
    addresses4.push_back(fmt::format("198.18.{}.{}", word >> 8, word & 255));
    addresses6.push_back(fmt::format("2001:db8:1:{:x}::1", word));
  }
  std::set<std::string> seen;
  while (seen.size() < kListedAddresses - kTrafficSources) seen.insert(isolated_address(random));
  addresses4.insert(addresses4.end(), seen.begin(), seen.end());
  while (addresses6.size() < kListedAddresses) {
    const std::size_t i = addresses6.size();
    addresses6.push_back(
        fmt::format("2001:db8:{:x}:{:x}::{:x}", 0x8000 + (i >> 12), i & 0xfff, random() & 0xfffe));
  }
  // Every fourth /24 of 20.0.0.0 and up; a /48 each.
  for (std::uint32_t i = 0; i + 1 < kListedPrefixes; ++i) {
    const std::uint32_t net = (20U << 16) + 4 * i;
    prefixes4.push_back(fmt::format("{}.{}.{}.0/24", net >> 16, net >> 8 & 255, net & 255));
    prefixes6.push_back(fmt::format("2001:{:x}:{:x}::/48", 0x1000 + (i >> 12), 2 * (i & 0xfff)));
  }
  prefixes4.emplace_back("203.0.113.192/28");
  prefixes6.emplace_back("2001:db8:4::/60");
  for (const auto& [name, lines] :
       {std::pair{"addresses4", &addresses4}, std::pair{"addresses6", &addresses6},
        std::pair{"prefixes4", &prefixes4}, std::pair{"prefixes6", &prefixes6}}) {
    std::shuffle(lines->begin(), lines->end(), random);
    std::ofstream file(folder / name);
    for (const std::string& line : *lines) file << line << '\n';
    if (!file) fail(fmt::format("cannot write {}", name));
  }
}

void set_up(Variant& variant, const std::filesystem::path& work) {
  variant.pair = make_namespaces();
  if (variant.drops_all()) {
    enter(variant.pair.host);
    variant.xdp = attach_xdp_drop(variant.pair);
    return;
  }
  const std::filesystem::path state = work / variant.label;
  std::filesystem::create_directories(state);
  std::vector<std::string> command{"bash", variant.script, kHostDevice, work.string(),
                                   state.string()};
  command.insert(command.end(), variant.arguments.begin(), variant.arguments.end());
  const std::string words = run_in(variant.pair.host, command);
  variant.tracks = words.find("tracks\n") != std::string::npos;
  variant.blocks = words.find("blocks\n") != std::string::npos;
  variant.blocks_prefixes = words.find("blocks-prefixes\n") != std::string::npos;
}

// ---- is each packet what it should be? ----------------------------------------------------------

struct Seen {
  std::uint64_t all = 0, fresh = 0, established = 0, invalid = 0;
};

/// Counts what reaches the end of the input hook, by connection state where there are any.
class Probe {
 public:
  explicit Probe(const Variant& variant) : variant_(variant) {
    std::string rules = "counter name seen_all\n";
    if (variant.tracks) {
      rules +=
          "ct state new counter name seen_new\nct state established counter name seen_established\n"
          "ct state invalid counter name seen_invalid\n";
    }
    run_in(variant.pair.host, {"nft", "-f", "-"},
           fmt::format("table inet datapath_probe {{\n"
                       "counter seen_all {{}}\ncounter seen_new {{}}\n"
                       "counter seen_established {{}}\ncounter seen_invalid {{}}\n"
                       "chain probe {{\ntype filter hook input priority 400;\n"
                       "meta l4proto {{ tcp, udp }} jump count\n}}\n"
                       "chain count {{\n{}}}\n}}\n",
                       rules));
  }
  Probe(const Probe&) = delete;
  ~Probe() {
    try {
      run_in(variant_.pair.host, {"nft", "delete", "table", "inet", "datapath_probe"});
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
    }
  }

  Seen take() const {
    const std::string text =
        run_in(variant_.pair.host, {"nft", "reset", "counters", "table", "inet", "datapath_probe"});
    auto packets = [&text](const char* name) -> std::uint64_t {
      std::size_t at = text.find(fmt::format("counter {} ", name));
      if (at != std::string::npos) at = text.find("packets ", at);
      return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 8, nullptr, 10);
    };
    return {packets("seen_all"), packets("seen_new"), packets("seen_established"),
            packets("seen_invalid")};
  }

 private:
  const Variant& variant_;
};

void check_row(const Variant& variant, const Row& row, const Probe& probe) {
  const std::uint64_t sent = kProbePackets;
  Seen seen;
  {
    std::unique_ptr<Established> flow;
    Stream stream = row.stream;
    Fd listener;
    if (row.kind == Kind::established) {
      flow = std::make_unique<Established>(establish(variant.pair, row));
      stream = flow->stream;
    } else {
      listener = listen_on(variant.pair, row.family, row.port, 0);
    }
    probe.take();
    enter(variant.pair.sender);
    Generator(stream, variant.pair).send(kProbePackets);
    seen = probe.take();
  }
  flush_conntrack(variant.pair);
  const std::uint64_t state = row.kind == Kind::established ? seen.established : seen.fresh;
  const bool good =
      variant.drops(row) ? seen.all == 0 : seen.all == sent && (!variant.tracks || state == sent);
  errno = 0;
  if (!good) {
    fail(fmt::format("{} with {}: of {} packets {} arrived, {} new, {} established, {} invalid",
                     row.name, variant.label, sent, seen.all, seen.fresh, seen.established,
                     seen.invalid));
  }
}

// ---- measuring ----------------------------------------------------------------------------------

struct Options {
  std::vector<std::unique_ptr<Variant>> variants;
  std::filesystem::path scripts;
  std::filesystem::path work;
  std::set<std::string> rows;
  unsigned rounds = 9;
  std::uint32_t packets = 98'304;
  std::uint32_t connections = 8192;
  int cpu = -1;
  bool json = false;
};

/// Nothing but a higher real-time task interrupts the thread while this lives.
class Undisturbed {
 public:
  Undisturbed() {
    ::usleep(5'000);  // let the kernel's own threads of this CPU finish what is behind us
    const sched_param parameters{.sched_priority = 10};
    if (::sched_setscheduler(0, SCHED_FIFO, &parameters) < 0) fail("no real-time priority");
    before_ = switches();
  }
  Undisturbed(const Undisturbed&) = delete;
  ~Undisturbed() {
    const sched_param parameters{};
    ::sched_setscheduler(0, SCHED_OTHER, &parameters);
  }
  bool held() const { return switches() == before_; }

 private:
  static long switches() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
  }
  long before_ = 0;
};

struct Timed {
  double ns = 0;  ///< a packet or a connection
  bool undisturbed = false;
};

Timed time_packets(Generator& generator, std::uint32_t count) {
  const Undisturbed here;
  const std::uint32_t ns = generator.send(count);
  return {static_cast<double>(ns), here.held()};
}

Timed time_connections(const Row& row, const Fd& listener, std::uint32_t count) {
  const Undisturbed here;
  const auto start = std::chrono::steady_clock::now();
  make_connections(row, listener, count);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return {took.count() / count, here.held()};
}

Timed measure_once(const Variant& variant, const Row& row, const Options& options, unsigned round) {
  if (row.kind == Kind::connection) {
    const Fd listener = listen_on(variant.pair, row.family, row.port, 128);
    enter(variant.pair.sender);
    const Timed timed = time_connections(row, listener, options.connections);
    flush_conntrack(variant.pair);
    return timed;
  }
  std::unique_ptr<Established> flow;
  Stream stream = row.stream;
  Fd listener;
  if (row.kind == Kind::established && variant.drops_all()) {
    // No connection can be made, and none is needed: only the generator works.
    stream.tcp_flags = kTcpAck;
    stream.port_mask = 0;
    stream.source = address(row.family, row.family == Family::ip4 ? "203.0.113.2" : "2001:db8::2");
  } else if (row.kind == Kind::established) {
    flow = std::make_unique<Established>(establish(variant.pair, row));
    stream = flow->stream;
  } else {
    listener = listen_on(variant.pair, row.family, row.port, 0);
    if (row.kind == Kind::fresh && round % 2 == 1) stream.source_base = kTrafficSources;
  }
  enter(variant.pair.host);
  const std::uint64_t before = received_packets();
  enter(variant.pair.sender);
  Generator generator(stream, variant.pair);
  const Timed timed = time_packets(generator, options.packets);
  enter(variant.pair.host);
  const std::uint64_t received = received_packets() - before;
  flow.reset();
  flush_conntrack(variant.pair);
  errno = 0;
  if (received < options.packets) {
    fail(fmt::format("the host's interface lost {} packets", options.packets - received));
  }
  return timed;
}

double measure(const Variant& variant, const Row& row, const Options& options, unsigned round) {
  for (int i = 1;; ++i) {
    const Timed timed = measure_once(variant, row, options, round);
    if (timed.undisturbed || i == kTries) return timed.ns;
  }
}

// ---- results ------------------------------------------------------------------------------------

struct Cell {
  std::vector<double> rounds;

  double median() const {
    std::vector<double> sorted = rounds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }
  double least() const { return *std::min_element(rounds.begin(), rounds.end()); }
  double most() const { return *std::max_element(rounds.begin(), rounds.end()); }
};

using Results = std::map<std::pair<std::string, std::string>, Cell>;  // (row, variant)

/// Of medians; with the generator's share taken off both when `generator` is given.
std::string ratio(const Results& results, const Row& row, const std::string& label,
                  const std::string& base, bool net) {
  const auto left = results.find({row.name, label});
  const auto right = results.find({row.name, base});
  const auto generator = results.find({row.name, "xdp-drop"});
  if (left == results.end() || right == results.end() || (net && generator == results.end())) {
    return "-";
  }
  const double off = net ? generator->second.median() : 0;
  return fmt::format("{:.2f}", (left->second.median() - off) / (right->second.median() - off));
}

void print_table(const std::vector<Row>& rows, const Options& options, const Results& results) {
  fmt::print("ns a packet (a connection), {} rounds; x: ratio of medians; net: less xdp-drop\n\n",
             options.rounds);
  fmt::print("{:<22}{:<36}{:>9}{:>9}{:>9}{:>9}{:>12}{:>13}{:>14}{:>15}\n", "row", "variant",
             "median", "min", "max", "net", "x iptables", "x conntrack", "net iptables",
             "net conntrack");
  for (const Row& row : rows) {
    const auto generator = results.find({row.name, "xdp-drop"});
    for (const auto& variant : options.variants) {
      const auto found = results.find({row.name, variant->label});
      if (found == results.end()) continue;
      const Cell& cell = found->second;
      const std::string net =
          generator == results.end()
              ? "-"
              : fmt::format("{:.0f}", cell.median() - generator->second.median());
      fmt::print("{:<22}{:<36}{:>9.0f}{:>9.0f}{:>9.0f}{:>9}{:>12}{:>13}{:>14}{:>15}\n", row.name,
                 variant->label, cell.median(), cell.least(), cell.most(), net,
                 ratio(results, row, variant->label, "iptables", false),
                 ratio(results, row, variant->label, "conntrack", false),
                 ratio(results, row, variant->label, "iptables", true),
                 ratio(results, row, variant->label, "conntrack", true));
    }
    fmt::print("\n");
  }
}

void print_json(const std::vector<Row>& rows, const Options& options, const Results& results) {
  std::string lines;
  for (const Row& row : rows) {
    for (const auto& variant : options.variants) {
      const auto found = results.find({row.name, variant->label});
      if (found == results.end()) continue;
      const Cell& cell = found->second;
      lines += fmt::format(
          "{}    {{\"row\": \"{}\", \"variant\": \"{}\", \"median\": {:.1f}, \"min\": {:.1f}, "
          "\"max\": {:.1f}, \"rounds\": [{:.1f}]}}",
          lines.empty() ? "" : ",\n", row.name, variant->label, cell.median(), cell.least(),
          cell.most(), fmt::join(cell.rounds, ", "));
    }
  }
  fmt::print(
      "{{\n  \"unit\": \"ns\",\n  \"packets\": {},\n  \"connections\": {},\n"
      "  \"results\": [\n{}\n  ]\n}}\n",
      options.packets, options.connections, lines);
}

// ---- the command line ---------------------------------------------------------------------------

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> words;
  std::size_t from = 0;
  for (std::size_t at = 0; at != std::string::npos; from = at + 1) {
    at = text.find(separator, from);
    words.push_back(text.substr(from, at == std::string::npos ? at : at - from));
  }
  return words;
}

std::unique_ptr<Variant> parse_variant(const std::string& text) {
  auto variant = std::make_unique<Variant>();
  const std::size_t equals = text.find('=');
  variant->label = text.substr(0, equals);
  if (equals == std::string::npos) {
    if (variant->label != "xdp-drop") variant->script = variant->label;
    return variant;
  }
  std::vector<std::string> words = split(text.substr(equals + 1), ',');
  variant->script = words.front();
  variant->arguments.assign(words.begin() + 1, words.end());
  return variant;
}

[[noreturn]] void usage() {
  fmt::print(stderr, "{}", kUsage);
  std::exit(2);
}

Options parse_options(int argc, char** argv) {
  static const option kOptions[] = {{"variant", required_argument, nullptr, 'v'},
                                    {"scripts", required_argument, nullptr, 's'},
                                    {"work-dir", required_argument, nullptr, 'w'},
                                    {"rows", required_argument, nullptr, 'r'},
                                    {"rounds", required_argument, nullptr, 'n'},
                                    {"packets", required_argument, nullptr, 'p'},
                                    {"connections", required_argument, nullptr, 'c'},
                                    {"cpu", required_argument, nullptr, 'u'},
                                    {"json", no_argument, nullptr, 'j'},
                                    {nullptr, 0, nullptr, 0}};
  Options options;
  auto number = [](unsigned most) {
    const unsigned long value = std::strtoul(optarg, nullptr, 10);
    if (value < 1 || value > most) usage();
    return static_cast<unsigned>(value);
  };
  for (int c = 0; (c = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'v':
        options.variants.push_back(parse_variant(optarg));
        break;
      case 's':
        options.scripts = optarg;
        break;
      case 'w':
        options.work = optarg;
        break;
      case 'r':
        for (const std::string& name : split(optarg, ',')) options.rows.insert(name);
        break;
      case 'n':
        options.rounds = number(1000);
        break;
      case 'p':
        options.packets = number(200'000);
        break;  // conntrack's table holds 262,144
      case 'c':
        options.connections = number(100'000);
        break;
      case 'u':
        options.cpu = std::atoi(optarg);
        break;
      case 'j':
        options.json = true;
        break;
      default:
        usage();
    }
  }
  if (optind != argc || options.variants.empty() || options.work.empty()) usage();
  return options;
}

void pin(int cpu) {
  if (cpu < 0) cpu = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) < 0) fail("cannot pin this process to a CPU");
}

int run(int argc, char** argv) {
  Options options = parse_options(argc, argv);
  pin(options.cpu);

  std::vector<Row> rows = all_rows();
  if (!options.rows.empty()) {
    std::erase_if(rows, [&](const Row& row) {
      return !options.rows.contains(row.name) &&
             !options.rows.contains(row.name.substr(0, row.name.size() - 2));
    });
  }
  if (rows.empty()) usage();

  write_lists(options.work);
  for (const auto& variant : options.variants) {
    if (!variant->drops_all() && !variant->script.starts_with('/')) {
      variant->script = (options.scripts / variant->script).string();
    }
    fmt::print(stderr, "setting up {}\n", variant->label);
    set_up(*variant, options.work);
    if (variant->drops_all()) continue;
    const Probe probe(*variant);
    for (const Row& row : rows) {
      if (row.kind != Kind::connection && variant->has(row)) check_row(*variant, row, probe);
    }
  }

  Results results;
  for (unsigned round = 0; round < options.rounds; ++round) {
    fmt::print(stderr, "\rround {} of {}", round + 1, options.rounds);
    for (const Row& row : rows) {
      for (std::size_t i = 0; i < options.variants.size(); ++i) {
        // Nobody always follows the same neighbour.
        const Variant& variant = *options.variants[(i + round) % options.variants.size()];
        if (!variant.has(row)) continue;
        results[{row.name, variant.label}].rounds.push_back(measure(variant, row, options, round));
      }
    }
  }
  fmt::print(stderr, "\n");
  if (options.json) {
    print_json(rows, options, results);
  } else {
    print_table(rows, options, results);
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    return bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "datapath: {}\n", error.what());
    return 1;
  }
}
