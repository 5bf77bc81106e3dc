// What `simulate` found, for people.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/plot.hpp"
#include "cli/simulation.hpp"
#include "fw/base/limits.hpp"

namespace cli {

using simulate::ClientTally;
using simulate::Firewall;
using simulate::Tally;
using Align = Table::Align;
using Style = Context::Style;

namespace {

constexpr std::size_t kPlotMost = 56;  // columns
constexpr std::size_t kPlotLeast = 16;

void heading(const Context& context, const std::string& text) {
  context.say("");
  context.say(context.styled(Style::bold, text));
}

/// "8h 12m", "3.2s".
std::string length_text(simulate::Nanoseconds length) {
  if (length < 10'000'000'000) return fmt::format("{:.1f}s", static_cast<double>(length) / 1e9);
  return fw::ops::rough_text(std::chrono::seconds{length / 1'000'000'000});
}

std::string hosts_text(const simulate::Hosts& hosts) {
  using Why = simulate::Hosts::Why;
  std::string text;
  for (std::size_t i = 0; i < hosts.addresses.size() && i < 6; ++i) {
    text += (i == 0 ? "" : ", ") + fw::to_string(hosts.addresses[i]);
  }
  if (hosts.addresses.size() > 6) text += fmt::format(" and {} more", hosts.addresses.size() - 6);
  const char* const why = hosts.why == Why::given       ? ""
                          : hosts.why == Why::machine   ? ": this machine's"
                          : hosts.why == Why::direction ? ": the capture says that they sent"
                                                        : ": most packets are theirs";
  return text + why + (hosts.why == Why::given ? "" : "; others: --host");
}

void print_head(const Context& context, const Simulated& s) {
  const Firewall& firewall = *s.firewall;
  const simulate::Seen seen = firewall.seen();
  Table table({Align::left, Align::left});
  table.row({"packets",
             fmt::format("{} of IP, {} frames", grouped(seen.packets), grouped(s.counts.frames))});
  if (seen.packets != 0) {
    table.row({"time", fmt::format("{} to {} ({})", moment_text(firewall.first()),
                                   moment_text(firewall.last()),
                                   length_text(firewall.last() - firewall.first()))});
    table.row({"host", hosts_text(s.hosts)});
  }
  table.row({"policy", s.policy});
  table.print(context, "");
}

std::string counts_text(const fw::Limit& limit) {
  if (limit.from == fw::Source::outside) return "each client";
  return limit.per == fw::LimitKey::app ? "each app" : "each app address";
}

std::string enough_text(const Tally& tally) {
  const simulate::Smallest smallest = tally.smallest();
  if (smallest.count == 0) return "";
  std::string text = (smallest.exact ? "" : ">= ") +
                     fw::to_string(fw::Rate{smallest.count, tally.limit().rate.period});
  if (smallest.concurrent != 0) {
    text += fmt::format(", {}{} at once",
                        smallest.concurrent_exact ? "" : ">= ", grouped(smallest.concurrent));
  }
  return text;
}

void print_limits(const Context& context, const Firewall& firewall) {
  Table table({Align::left, Align::left, Align::left, Align::right, Align::right, Align::right,
               Align::right, Align::left});
  table.heading({"limit", "rate", "counts", "clients", "connections", "admitted", "refused",
                 "enough for all"});
  for (const Tally& tally : firewall.tallies()) {
    const simulate::LimitTotals& t = tally.totals;
    if (t.connections + t.refused == 0) continue;
    table.row({tally.limit().name, to_string(tally.limit().rate), counts_text(tally.limit()),
               grouped(t.clients), grouped(t.connections), grouped(t.admitted), grouped(t.refused),
               enough_text(tally)});
  }
  context.say("");
  if (table.empty()) {
    context.say("no connection to a port with a limit");
    return;
  }
  table.print(context);
  for (const Tally& tally : firewall.tallies()) {
    const std::uint64_t many = tally.totals.refused_concurrent;
    if (many == 0) continue;
    context.say(fmt::format("  {} of those refused by '{}' for more than {} at once", grouped(many),
                            tally.limit().name, grouped(*tally.limit().concurrent)));
  }
  for (const Tally& tally : firewall.tallies()) {
    if (tally.totals.overflowed == 0) continue;
    context.say(context.styled(
        Style::yellow,
        fmt::format("  the meter of '{}' was full: {} counted by network", tally.limit().name,
                    plural(tally.totals.overflowed, "connection"))));
  }
}

void print_refused(const Context& context, const Simulated& s, const Tally& tally) {
  const std::vector<ClientTally> clients = tally.refused_clients();
  if (clients.empty()) return;
  heading(context, fmt::format("refused by {}, {}: {} of {}", tally.limit().name,
                               to_string(tally.limit().rate), grouped(clients.size()),
                               plural(tally.totals.clients, "client")));
  Table table({Align::left, Align::right, Align::right, Align::left, Align::left, Align::right});
  table.heading({"client", "refused", "connections", "first", "last", "longest"});
  for (std::size_t i = 0; i < clients.size() && i < s.shown; ++i) {
    const ClientTally& c = clients[i];
    table.row({to_string(c.client, tally.limit(), s.firewall->rules().policy()), grouped(c.refused),
               grouped(c.connections), moment_text(c.first), moment_text(c.last),
               length_text(c.longest)});
  }
  table.print(context);
  if (clients.size() > s.shown) {
    context.say(fmt::format("  ... and {} more: --top {}", grouped(clients.size() - s.shown),
                            clients.size()));
  }
}

void print_drops(const Context& context, const Simulated& s) {
  const simulate::Drops& drops = s.firewall->drops();
  Table table({Align::right, Align::left});
  auto row = [&table](std::uint64_t n, const char* what) {
    if (n != 0) table.row({grouped(n), what});
  };
  row(drops.blocked, "from blocked addresses");
  row(drops.listed, "from addresses on a block list");
  row(drops.closed, "to closed ports");
  row(drops.isolated, "from app to app");
  row(drops.syn_data, "SYNs with data to limited ports (TCP Fast Open)");
  row(drops.pings, "pings above the limit");
  row(drops.others, "of protocols that are not open");
  heading(context, "first packets dropped");
  if (table.empty()) context.say("  none");
  table.print(context);

  const auto ports = s.firewall->closed_ports();
  if (ports.empty()) return;
  heading(context, "closed ports that clients tried: " + grouped(ports.size()));
  Table closed({Align::left, Align::right, Align::left, Align::left});
  closed.heading({"port", "packets", "first", "last"});
  for (std::size_t i = 0; i < ports.size() && i < s.shown; ++i) {
    closed.row({fmt::format("{}/{}", fw::to_string(ports[i].protocol), ports[i].port),
                grouped(ports[i].packets), moment_text(ports[i].first),
                moment_text(ports[i].last)});
  }
  closed.print(context);
}

void print_senders(const Context& context, const std::string& what,
                   const std::vector<Firewall::Sender>& senders) {
  if (senders.empty()) return;
  heading(context, what);
  Table table({Align::left, Align::right});
  for (const Firewall::Sender& sender : senders) {
    table.row({fw::to_string(sender.address), grouped(sender.packets)});
  }
  table.print(context);
}

void print_not_judged(const Context& context, const Simulated& s) {
  const simulate::Seen seen = s.firewall->seen();
  Table table({Align::right, Align::left});
  auto row = [&table](std::uint64_t n, const char* one, const char* many) {
    if (n != 0) table.row({grouped(n), n == 1 ? one : many});
  };
  row(seen.of_host, "flow started by the host", "flows started by the host");
  row(seen.unknown_tcp, "TCP packet of a connection whose start is not in the capture",
      "TCP packets of connections whose start is not in the capture");
  row(seen.foreign, "packet between other hosts, or multicast",
      "packets between other hosts, or multicast");
  row(seen.icmp, "ICMP packet other than echo request", "ICMP packets other than echo requests");
  row(seen.incomplete, "packet without ports: a fragment, or truncated",
      "packets without ports: fragments, or truncated");
  row(s.counts.malformed, "malformed packet", "malformed packets");
  row(s.counts.not_ip, "frame that is not IP", "frames that are not IP");
  row(seen.forgotten, "flow forgotten early, for lack of room",
      "flows forgotten early, for lack of room");
  row(seen.clock_back, "time the clock went back; all flows forgotten",
      "times the clock went back; all flows forgotten");
  if (table.empty()) return;
  heading(context, "not judged");
  table.print(context);
}

/// As wide as the terminal leaves room for besides the words.
std::size_t plot_columns(std::size_t name, const std::vector<std::string>& words) {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kPlotMost;
  std::size_t beside = 0;
  for (const std::string& w : words) beside = std::max(beside, name + w.size() + 6);
  return std::clamp<std::size_t>(size.ws_col > beside ? size.ws_col - beside : 0, kPlotLeast,
                                 kPlotMost);
}

void print_plot(const Context& context, const Firewall& firewall) {
  bool first = true;
  std::size_t name = 0;
  for (const Tally& tally : firewall.tallies()) {
    name = std::max(name, tally.limit().name.size());
  }
  for (const Tally& tally : firewall.tallies()) {
    if (tally.totals.connections + tally.totals.refused == 0) continue;
    const Curve curve = curve_of(tally);
    std::vector<double> all = curve.admitted;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] += curve.refused[i];
    const double most = all.empty() ? 0 : *std::max_element(all.begin(), all.end());
    const std::vector<double> busiest(curve.busiest.begin(), curve.busiest.end());
    const double top = busiest.empty() ? 0 : *std::max_element(busiest.begin(), busiest.end());
    const std::string rate = fmt::format("connections: up to {:.4g} a second", most);
    const std::string client = fmt::format("busiest client: up to {:.0f} in {}, of {}", top,
                                           curve.period, grouped(curve.most));
    const std::size_t room = plot_columns(name, {rate, client});
    const std::size_t columns = std::min(room, all.size());
    if (std::exchange(first, false)) {
      heading(context,
              fmt::format(
                  "over time, from {}; a column is {}", moment_text(tally.begin()),
                  length_text(static_cast<std::int64_t>(curve.width * 1'000'000'000 * all.size() /
                                                        std::max<std::size_t>(columns, 1)))));
    }
    const bool refused = tally.totals.refused != 0;
    const auto limit = static_cast<double>(curve.most);
    context.say(
        fmt::format("  {:<{}}  {}  {}", curve.limit, name, sparkline(all, most, room), rate));
    context.say(fmt::format("  {:<{}}  {}  {}", "", name,
                            context.styled(refused ? Style::red : Style::plain,
                                           sparkline(busiest, std::max(limit, top), room)),
                            client));
  }
}

void print_comparison(const Context& context, const Simulated& s) {
  const simulate::Comparison c = compare(*s.firewall, *s.other);
  heading(context, fmt::format("with {} instead of {}", s.other_policy, s.policy));
  Table limits({Align::left, Align::left, Align::right, Align::left, Align::right});
  limits.heading({"limit", "rate", "refused", "rate", "refused"});
  for (const simulate::LimitChange& limit : c.limits) {
    auto cells = [](const Tally* t) {
      if (t == nullptr) return std::pair<std::string, std::string>("none", "");
      return std::pair(to_string(t->limit().rate), grouped(t->totals.refused));
    };
    const auto [rate, refused] = cells(limit.before);
    const auto [other_rate, other_refused] = cells(limit.after);
    if (rate == other_rate && refused == other_refused) continue;
    limits.row({limit.limit, rate, refused, other_rate, other_refused});
  }
  Table ports({Align::left, Align::right, Align::left});
  for (std::size_t i = 0; i < c.ports.size() && i < s.shown; ++i) {
    const simulate::PortChange& p = c.ports[i];
    ports.row({fmt::format("{}/{}", fw::to_string(p.protocol), p.port), grouped(p.before + p.after),
               p.after == 0 ? "first packets would pass" : "first packets would be dropped"});
  }
  Table clients({Align::left, Align::left, Align::right, Align::left});
  for (std::size_t i = 0; i < c.clients.size() && i < s.shown; ++i) {
    const simulate::ClientChange& change = c.clients[i];
    clients.row({change.limit, change.client, grouped(change.before + change.after),
                 change.after == 0 ? "no longer refused" : "now refused"});
  }
  const auto drops = [](const simulate::Drops& d) { return d.blocked + d.listed; };
  if (drops(c.before) != drops(c.after)) {
    context.say(fmt::format("  {} first packets from blocked addresses instead of {}",
                            grouped(drops(c.after)), grouped(drops(c.before))));
  } else if (limits.empty() && ports.empty() && clients.empty()) {
    context.say("  the same");
  }
  limits.print(context);
  ports.print(context);
  clients.print(context);
  if (c.clients.size() > s.shown) {
    context.say(fmt::format("  ... and {} more clients: --top {}",
                            grouped(c.clients.size() - s.shown), c.clients.size()));
  }
}

}  // namespace

std::string moment_text(simulate::Nanoseconds time) {
  return time_text(fw::WallTime(std::chrono::milliseconds(time / 1'000'000)));
}

bool has_refusals(const Firewall& firewall) {
  return std::any_of(firewall.tallies().begin(), firewall.tallies().end(),
                     [](const Tally& tally) { return tally.totals.refused != 0; });
}

void print_simulation(const Context& context, const Simulated& s) {
  print_head(context, s);
  if (s.firewall->seen().packets == 0) {
    context.say("");
    context.say("the capture holds no IP packet");
    return print_not_judged(context, s);
  }
  print_limits(context, *s.firewall);
  print_plot(context, *s.firewall);
  for (const Tally& tally : s.firewall->tallies()) print_refused(context, s, tally);
  print_drops(context, s);
  print_senders(context, "most packets to closed ports, by source",
                s.firewall->closed_senders(s.shown));
  print_senders(context, "most blocked packets, by source", s.firewall->blocked_senders(s.shown));
  print_not_judged(context, s);
  if (s.other != nullptr) print_comparison(context, s);
}

}  // namespace cli
