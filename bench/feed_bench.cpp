// How many new flows a second can be told, and what a reader pays for each: the feed beside
// libnetfilter_conntrack's callbacks and `conntrack -E`.
//
// usage: feed_bench [ROUNDS]. As root; everything happens in namespaces of its own.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/generator.hpp"
#include "bench/namespaces.hpp"
#include "chains/netlink/flow_feed.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint16_t kPort = 5000;
constexpr std::uint32_t kFlows = 200'000;  // the table holds 262,144
constexpr int kQuietMs = 300;
constexpr int kLarge = 32 << 20;

double cpu_us(const rusage& usage) {
  const auto us = [](const timeval& t) {
    return 1e6 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

struct Reading {
  std::uint64_t events = 0;
  std::uint64_t lost = 0;   ///< as the reader knows; 0 where it cannot
  std::uint64_t found = 0;  ///< again, of those
  double us = 0;            ///< of CPU
};

/// Reads until `over` and nothing more comes.
using Reader = std::function<Reading(const NamespacePair&, std::atomic<bool>& ready,
                                     const std::atomic<bool>& over)>;

Reader feed_reader(std::size_t buffer_bytes, milliseconds rest = milliseconds(0)) {
  return [=](const NamespacePair& pair, std::atomic<bool>& ready, const std::atomic<bool>& over) {
    enter(pair.host);
    auto feed = chains::FlowFeed::open({{{fw::Protocol::udp, kPort, kPort}}, buffer_bytes});
    if (!feed) fail(to_string(feed.error()));
    if (!feed->drain()) fail("the first snapshot");
    ready = true;
    Reading reading;
    pollfd fd{feed->fd(), POLLIN, 0};
    // After a loss a snapshot follows within a second.
    const int quiet = buffer_bytes < kLarge ? 1200 : kQuietMs;
    while (poll(&fd, 1, quiet) != 0 || !over) {
      if (!feed->drain()) fail("drain");
      if (rest.count() != 0) std::this_thread::sleep_for(rest);
    }
    reading.events = feed->counts().messages;
    reading.lost = feed->counts().lost;
    reading.found = feed->counts().recovered;
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    reading.us = cpu_us(usage);
    return reading;
  };
}

int on_flow(nf_conntrack_msg_type, nf_conntrack* flow, void* data) {
  // What anybody does with it: who, and to what port.
  auto& reading = *static_cast<std::pair<Reading, std::uint64_t>*>(data);
  ++reading.first.events;
  reading.second += nfct_get_attr_u32(flow, ATTR_IPV4_SRC);
  reading.second += nfct_get_attr_u16(flow, ATTR_PORT_SRC);
  reading.second += nfct_get_attr_u16(flow, ATTR_PORT_DST);
  return NFCT_CB_CONTINUE;
}

Reader callback_reader(int buffer_bytes) {
  return [=](const NamespacePair& pair, std::atomic<bool>& ready, const std::atomic<bool>& over) {
    enter(pair.host);
    nfct_handle* const handle =
        nfct_open(CONNTRACK, NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY);
    if (handle == nullptr) fail("nfct_open");
    const timeval patience{0, kQuietMs * 1000};
    setsockopt(nfct_fd(handle), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (buffer_bytes != 0) {
      setsockopt(nfct_fd(handle), SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
    }
    std::pair<Reading, std::uint64_t> reading;
    nfct_callback_register(handle, NFCT_T_ALL, on_flow, &reading);
    ready = true;
    while (nfct_catch(handle) >= 0 || errno != EAGAIN || !over) {
    }
    nfct_close(handle);
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    reading.first.us = cpu_us(usage);
    return reading.first;
  };
}

std::uint64_t lines_of(int fd) {
  std::vector<char> bytes(1 << 20);
  std::uint64_t lines = 0;
  lseek(fd, 0, SEEK_SET);
  for (ssize_t got = 0; (got = read(fd, bytes.data(), bytes.size())) > 0;) {
    lines += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.begin() + got, '\n'));
  }
  return lines;
}

Reader conntrack_reader(int buffer_bytes) {
  return [=](const NamespacePair& pair, std::atomic<bool>& ready, const std::atomic<bool>& over) {
    enter(pair.host);
    const Fd out(memfd_create("events", MFD_CLOEXEC));
    const pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      dup2(out.get(), STDOUT_FILENO);
      const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
      dup2(null, STDERR_FILENO);
      const std::string size = std::to_string(buffer_bytes);
      if (buffer_bytes != 0) {
        execlp("conntrack", "conntrack", "-E", "-e", "NEW,DESTROY", "-b", size.c_str(), nullptr);
      } else {
        execlp("conntrack", "conntrack", "-E", "-e", "NEW,DESTROY", nullptr);
      }
      _exit(127);
    }
    std::this_thread::sleep_for(milliseconds(300));
    ready = true;
    while (!over) std::this_thread::sleep_for(milliseconds(20));
    std::this_thread::sleep_for(milliseconds(2000));
    kill(child, SIGINT);
    rusage usage{};
    int status = 0;
    wait4(child, &status, 0, &usage);
    return Reading{lines_of(out.get()), 0, 0, cpu_us(usage)};
  };
}

Stream stream_of(int cpu) {
  Stream stream;
  stream.destination_port = kPort;
  stream.source = {198, 18, 0, 0};
  stream.destination = {203, 0, 113, 1};
  stream.source_mask = 0xffff;
  stream.port_base = static_cast<std::uint16_t>(10'000 + cpu * 1000);
  stream.port_mask = 0xff;
  stream.port_skip = 16;
  return stream;
}

/// Sends first packets from this many processors; `per_second` 0: as fast as it goes. Gives
/// seconds.
double flood(const NamespacePair& pair, int cpus, double per_second) {
  const std::uint32_t share = kFlows / static_cast<std::uint32_t>(cpus);
  std::vector<std::thread> threads;
  std::atomic<std::int64_t> longest_ns{0};
  for (int cpu = 0; cpu < cpus; ++cpu) {
    threads.emplace_back([&, cpu] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cpu, &set);
      sched_setaffinity(0, sizeof set, &set);
      enter(pair.sender);
      Generator generator(stream_of(cpu), pair);
      std::int64_t ns = 0;
      if (per_second == 0) {
        ns = static_cast<std::int64_t>(generator.send(share)) * share;
      } else {
        const auto begin = Clock::now();
        constexpr std::uint32_t kPart = 2000;
        for (std::uint32_t sent = 0; sent < share; sent += kPart) {
          std::this_thread::sleep_until(begin +
                                        std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(sent / per_second)));
          generator.send(kPart);
        }
        ns = (Clock::now() - begin).count();
      }
      std::int64_t before = longest_ns;
      while (before < ns && !longest_ns.compare_exchange_weak(before, ns)) {
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(longest_ns) / 1e9;
}

struct Result {
  double flows_per_second;
  double lost;   ///< part of the flows
  double found;  ///< again, part of the flows
  double us;     ///< of CPU an event
};

Result run_once(const NamespacePair& pair, const Reader& reader, int cpus, double per_second) {
  flush_conntrack(pair);
  std::atomic<bool> ready{false};
  std::atomic<bool> over{false};
  Reading reading;
  std::thread thread([&] { reading = reader(pair, ready, over); });
  while (!ready) std::this_thread::sleep_for(milliseconds(1));
  std::this_thread::sleep_for(milliseconds(100));
  const double seconds = flood(pair, cpus, per_second);
  over = true;
  thread.join();
  // Two processors fill one device's queue faster than it is emptied: not every packet arrives.
  const double flows = std::stod(run_in(pair.host, {"conntrack", "-C"}));
  const auto told = static_cast<double>(reading.events);
  if (reading.lost != 0 && static_cast<double>(reading.lost) + told != flows) {
    fmt::print(stderr, "told {} and lost {} of {}\n", reading.events, reading.lost, flows);
  }
  return {flows / seconds, 1 - told / flows, static_cast<double>(reading.found) / flows,
          told == 0 ? 0 : reading.us / told};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(int rounds) {
  const NamespacePair pair = make_namespaces();
  // Tracking is on where a rule asks for it; a bound port answers nothing.
  run_in(pair.host, {"nft", "-f", "-"},
         "table inet t { chain c { type filter hook input priority 0; ct state new accept\n}\n}\n");
  enter(pair.host);
  const Fd sink(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  if (bind(sink.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("bind");
  }
  const std::vector<std::pair<std::string, Reader>> readers{
      {"cloudron-fw, 32 MiB", feed_reader(kLarge)},
      {"the same, resting 1 ms", feed_reader(kLarge, milliseconds(1))},
      {"cloudron-fw, 208 KiB", feed_reader(212'992)},
      {"callbacks, 32 MiB", callback_reader(kLarge)},
      {"callbacks, 208 KiB", callback_reader(0)},
      {"conntrack -E, 32 MiB", conntrack_reader(kLarge)},
      {"conntrack -E, 208 KiB", conntrack_reader(0)}};
  struct Mode {
    const char* name;
    int cpus;
    double per_second;
  };
  fmt::print("{:22} {:24} {:>10} {:>8} {:>12} {:>13}\n", "flood", "reader", "flows/s", "lost",
             "found again", "CPU us/event");
  for (const Mode& mode : {Mode{"2 CPUs", 2, 0}, {"1 CPU", 1, 0}, {"1 CPU, 50,000/s", 1, 50'000}}) {
    std::map<std::string, std::vector<Result>> results;
    for (int round = 0; round < rounds; ++round) {
      for (const auto& [name, reader] : readers) {
        results[name].push_back(run_once(pair, reader, mode.cpus, mode.per_second));
      }
    }
    for (const auto& [name, reader] : readers) {
      auto of = [&](double Result::*field) {
        std::vector<double> values;
        for (const Result& r : results[name]) values.push_back(r.*field);
        return median(values);
      };
      fmt::print("{:22} {:24} {:>10.0f} {:>7.1f}% {:>11.1f}% {:>13.2f}\n", mode.name, name,
                 of(&Result::flows_per_second), of(&Result::lost) * 100, of(&Result::found) * 100,
                 of(&Result::us));
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    return bench::run(argc > 1 ? std::atoi(argv[1]) : 5);
  } catch (const std::exception& error) {
    fmt::print(stderr, "feed_bench: {}\n", error.what());
    return 1;
  }
}
