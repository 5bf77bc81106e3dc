// A policy's firewall, over the packets of a capture: the rules that chains/compile_*.cpp make, as
// far as addresses, ports and time decide.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/firewall.hpp"

#include <algorithm>
#include <functional>

namespace simulate {

using capture::Direction;
using capture::Packet;
using fw::kAck;
using fw::kFin;
using fw::kRst;
using fw::kSyn;
using fw::Protocol;
using fw::Source;

namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr std::uint16_t kDns = 53;
constexpr std::size_t kTopCounters = 4096;

/// How long connection tracking remembers a flow (net.netfilter.nf_conntrack_*_timeout_*).
constexpr Moment seconds(Moment n) { return n * kMomentsOfSecond; }
constexpr Moment kBegun = seconds(120), kAnswered = seconds(60), kOpen = seconds(432'000);
constexpr Moment kEnding = seconds(120), kReset = seconds(10);
constexpr Ticks kShaking = limiter::to_ticks(std::chrono::seconds(60));
constexpr Moment kUnreplied = seconds(30), kReplied = seconds(120);

/// On a limited port such a SYN is dropped (chains/compile_fast_open.cpp).
bool carries_data(const Packet& syn) {
  return syn.payload != 0 || syn.fast_open > 1 || syn.experimental > 1;
}

bool is_first(std::uint8_t flags) { return (flags & (kFin | kSyn | kRst | kAck)) == kSyn; }

limiter::Key as_key(fw::Ip ip) {
  return {static_cast<std::uint64_t>(ip.bits >> 64), static_cast<std::uint64_t>(ip.bits), 0,
          static_cast<std::uint32_t>(ip.family)};
}

/// The highest byte of what an ACK acknowledges is all that a flow has room for. An ACK belongs to
/// a SYN-ACK when it lies at most some MiB behind it: the first one that was captured may be later
/// than the handshake. A guess does by a chance of 1 in 128.
std::uint8_t highest_byte(std::uint32_t acknowledged) {
  return static_cast<std::uint8_t>(acknowledged >> 24);
}
bool belongs(std::uint8_t ack, std::uint8_t syn_ack) {
  return static_cast<std::uint8_t>(ack - syn_ack) <= 1;
}

/// By what they sent at least: where there were more senders than counters, a count may hold
/// packets of others, at most its error.
std::vector<Firewall::Sender> largest(const limiter::Top& top, std::size_t most) {
  std::vector<Firewall::Sender> senders;
  for (const limiter::Top::Entry& entry : top.largest(kTopCounters)) {
    if (entry.count == entry.error) continue;
    senders.push_back(
        {{static_cast<fw::Family>(entry.key.app), fw::U128{entry.key.high} << 64 | entry.key.low},
         entry.count - entry.error});
  }
  std::ranges::stable_sort(senders, std::ranges::greater(), &Firewall::Sender::packets);
  if (senders.size() > most) senders.resize(most);
  return senders;
}

}  // namespace

fw::Result<Firewall> Firewall::make(Rules rules, const Options& options) {
  auto flows = Flows::make(options.flows_max);
  if (!flows) return std::unexpected(flows.error());
  return Firewall(std::move(rules), std::move(*flows), options);
}

Firewall::Firewall(Rules rules, Flows flows, const Options& options)
    : rules_(std::move(rules)),
      one_way_(options.one_way),
      flows_(std::move(flows)),
      closed_senders_(kTopCounters),
      blocked_senders_(kTopCounters) {}

void Firewall::take(std::span<const Packet> packets) {
  constexpr std::size_t kAhead = 64;  // flows on their way from memory
  std::array<std::uint64_t, kAhead> ids;
  for (std::size_t begin = 0; begin < packets.size(); begin += kAhead) {
    const auto some = packets.subspan(begin, std::min(kAhead, packets.size() - begin));
    for (std::size_t i = 0; i < some.size(); ++i) {
      ids[i] = flow_id(secret_, some[i]);
      flows_.prefetch(ids[i]);
    }
    for (std::size_t i = 0; i < some.size(); ++i) take(some[i], ids[i]);
  }
}

void Firewall::set_clock(Nanoseconds time) {
  const bool back = begun_ && time < time_ - kClockBack;
  if (!begun_ || back) {
    if (!begun_) first_ = last_ = time;
    if (back) ++seen_.clock_back;
    begun_ = true;
    base_ = time_ = time;
    for (Tally& tally : tallies_) tally.restarted(time);
    flows_.clear();
    budgets_.clear();
    const auto& limits = rules_.policy().limits;
    for (const fw::Limit& limit : limits) budgets_.emplace_back(limit);
    if (tallies_.empty()) {
      for (const fw::Limit& limit : limits) tallies_.emplace_back(limit, first_, *room_);
    }
  }
  first_ = std::min(first_, time);
  last_ = std::max(last_, time);
  time_ = std::max(time_, time);
  const auto since = static_cast<std::uint64_t>(time_ - base_);
  ticks_ = 1 + since / static_cast<std::uint64_t>(limiter::kTick.count());
  constexpr std::uint64_t kMoment = 1'000'000'000 / kMomentsOfSecond;
  // Behind the last moment time stands still: 8 years are enough for a capture.
  moment_ = static_cast<Moment>(std::min<std::uint64_t>(1 + since / kMoment, ~Moment{0} - kOpen));
}

void Firewall::take(const Packet& packet, std::uint64_t id) {
  ++seen_.packets;
  set_clock(packet.time);
  if (packet.protocol == kIcmp || packet.protocol == kIcmp6) return take_icmp(packet, id);
  if (!packet.complete) {
    ++seen_.incomplete;
    return;
  }
  Flow* const flow = flows_.find(id, moment_);
  if (flow == nullptr) return unknown(packet, id);
  packet.protocol == kTcp ? known_tcp(packet, *flow) : known_other(packet, *flow);
}

void Firewall::take_icmp(const Packet& packet, std::uint64_t id) {
  const bool echo = packet.icmp_type == (packet.protocol == kIcmp ? 8 : 128);
  if (!echo || !rules_.is_host(packet.destination)) {
    ++seen_.icmp;
    return;
  }
  ++seen_.judged;
  if (is_blocked(packet)) return;
  Question question{packet, id};
  if (judge_limit(question, rules_.ping_limit()) == Judged::refused) ++drops_.pings;
}

void Firewall::known_tcp(const Packet& packet, Flow& flow) {
  const std::uint8_t flags = packet.tcp_flags;
  const bool by_beginner = from_lower(packet) == flow.lower_began;
  const bool beginning = flow.state <= FlowState::answered;
  if (is_first(flags)) {
    const bool dropped = flow.state == FlowState::refused && flow.limit < 0;
    if (flow.state > FlowState::refused || dropped) return unknown(packet, flow.id);
    if (!by_beginner || !beginning || flow.limit < 0) return;
    // The same SYN once more: its limit is asked again.
    Question question{packet, flow.id};
    ++seen_.judged;
    const bool refused = judge_limit(question, flow.limit) == Judged::refused;
    if (!refused && flow.refused_at_begin) flow.refused_at_begin = false;
    return;
  }
  if ((flags & kRst) != 0) {
    flow.state = FlowState::closed;
    flow.end = moment_ + kReset;
    return;
  }
  if ((flags & kSyn) != 0) {
    if (!by_beginner && beginning) syn_ack(packet, flow);
    return;
  }
  if (beginning && by_beginner) ack(packet, flow);
  // Whoever was refused had the whole connection in the capture.
  if ((flags & kFin) != 0 && flow.state != FlowState::closed) {
    if (by_beginner) flow.began_fin = true;
    if (!by_beginner) flow.other_fin = true;
    flow.state = FlowState::ended;
  } else if (flow.state == FlowState::ended && flow.began_fin && flow.other_fin) {
    flow.state = FlowState::closed;
  }
  const bool open = flow.state == FlowState::open || flow.state == FlowState::refused;
  if (open || flow.state == FlowState::ended) flow.end = moment_ + (open ? kOpen : kEnding);
}

void Firewall::syn_ack(const Packet& packet, Flow& flow) {
  const std::uint8_t number = highest_byte(packet.sequence + 1);
  const bool shaken = flow.state == FlowState::acked && belongs(flow.number, number);
  flow.state = FlowState::answered;
  flow.end = moment_ + kAnswered;
  flow.number = number;
  if (shaken) handshake(packet.destination, flow);
}

/// Of the beginner, while the handshake goes on. In a capture the ACK may stand before the SYN-ACK.
void Firewall::ack(const Packet& packet, Flow& flow) {
  const std::uint8_t number = highest_byte(packet.acknowledged);
  const bool answered = flow.state == FlowState::answered;
  if (one_way_ || (answered && belongs(number, flow.number))) {
    handshake(packet.source, flow);
  } else if (!answered) {
    flow.state = FlowState::acked;
    flow.number = number;
  }
}

/// The first packet behind the handshake spends the budget.
void Firewall::handshake(fw::Ip beginner, Flow& flow) {
  flow.state = FlowState::open;
  flow.end = moment_ + kOpen;
  if (flow.limit < 0) return;
  const auto index = static_cast<std::size_t>(flow.limit);
  Tally& tally = tallies_[index];
  const Client client = rules_.client(tally.limit(), beginner);
  const std::uint64_t client_key = key(flow.limit, client);
  const Tally::Who who = tally.who(client, client_key);
  tally.connected(who, time_);
  // Whose SYN was refused would not have come so far.
  const Answer answer =
      flow.refused_at_begin ? Answer::refused : spend(flow.limit, client, client_key);
  if (answer != Answer::refused) {
    tally.admitted(who, time_);
    if (answer == Answer::overflowed) ++tally.totals.overflowed;
    return;
  }
  ++tally.totals.refused_shaken;
  if (!flow.refused_at_begin) tally.refused(who, time_);
  flow.state = FlowState::refused;
  // Of a handshake that does not end the kernel knows for a while.
  if (!flow.refused_at_begin) budgets_[index].not_open(client_key, flow.id, ticks_ + kShaking);
}

void Firewall::known_other(const Packet& packet, Flow& flow) {
  const bool by_beginner = from_lower(packet) == flow.lower_began;
  if (flow.state == FlowState::refused && by_beginner) {
    Question question{packet, flow.id, true};
    ++seen_.judged;
    if (judge_limit(question, flow.limit) == Judged::pass) flow.state = FlowState::open;
  }
  if (!by_beginner) flow.replied = true;
  flow.end = moment_ + (flow.replied ? kReplied : kUnreplied);
}

void Firewall::keep(std::uint64_t id, const Packet& packet, FlowState state, int limit,
                    bool refused) {
  Flow flow;
  flow.id = id;
  flow.end = moment_ + (packet.protocol == kTcp ? kBegun : kUnreplied);
  flow.limit = static_cast<std::int16_t>(limit);
  flow.state = state;
  flow.lower_began = from_lower(packet);
  flow.refused_at_begin = refused;
  flows_.insert(flow, moment_);
}

/// Is it one of the connections that are open at once?
bool Firewall::lives(std::uint64_t id) {
  const Flow* const flow = flows_.find(id, moment_);
  return flow != nullptr && flow->state != FlowState::closed;
}

void Firewall::keep_dropped(std::uint64_t id, const Packet& packet) {
  Flow flow;
  flow.id = id;
  flow.end = moment_ + kBegun;
  flow.state = FlowState::refused;
  flow.lower_began = from_lower(packet);
  flows_.insert(flow, moment_);
}

void Firewall::unknown(const Packet& packet, std::uint64_t id) {
  const bool tcp = packet.protocol == kTcp;
  const bool first = !tcp || is_first(packet.tcp_flags);
  const Place from = rules_.place(packet.source);
  if (from == Place::host || packet.direction == Direction::outgoing) {
    if (!first) {
      ++seen_.unknown_tcp;
      return;
    }
    ++seen_.of_host;
    return keep(id, packet, FlowState::open, -1, false);
  }
  const Place to = rules_.place(packet.destination);
  if (packet.direction == Direction::foreign || (to != Place::host && from != Place::app)) {
    ++seen_.foreign;
    return;
  }
  if (!first) {
    ++seen_.unknown_tcp;
    return;
  }
  ++seen_.judged;
  Question question{packet, id};
  const Judged judged = is_blocked(packet)   ? Judged::drop
                        : from == Place::app ? judge_app(question, to)
                                             : judge(question);
  if (judged == Judged::drop) {
    // What follows is known to follow; each packet of UDP is a question of its own.
    if (tcp) keep_dropped(id, packet);
    return;
  }
  const bool refused = judged == Judged::refused;
  const FlowState state = tcp ? FlowState::begun : (refused ? FlowState::refused : FlowState::open);
  keep(id, packet, state, question.limit, refused);
}

bool Firewall::is_blocked(const Packet& packet) {
  const bool blocked = rules_.is_blocked(packet.source);
  if (!blocked && !rules_.is_listed(packet.source)) return false;
  ++(blocked ? drops_.blocked : drops_.listed);
  blocked_senders_.add(as_key(packet.source));
  return true;
}

/// From outside, to the host or what it publishes.
Firewall::Judged Firewall::judge(Question& question) {
  const Packet& packet = question.packet;
  if (packet.protocol != kTcp && packet.protocol != kUdp) {
    const bool open = rules_.is_open(packet.protocol, packet.source);
    return open ? Judged::pass : drop_closed(packet);
  }
  const auto protocol = static_cast<Protocol>(packet.protocol);
  if (!rules_.is_open(protocol, packet.destination_port, packet.source)) return drop_closed(packet);
  return judge_limit(question, rules_.limit(Source::outside, protocol, packet.destination_port));
}

Firewall::Judged Firewall::judge_app(Question& question, Place to) {
  const Packet& packet = question.packet;
  const bool ports = packet.protocol == kTcp || packet.protocol == kUdp;
  const auto protocol = static_cast<Protocol>(packet.protocol);
  const std::uint16_t port = packet.destination_port;
  if (ports) {
    const int limit = rules_.limit(Source::apps, protocol, port);
    const Judged judged = judge_limit(question, limit);
    if (judged != Judged::pass) return judged;
    if (rules_.reaches(packet.source, packet.destination, protocol, port)) return Judged::pass;
  }
  if (to == Place::host) {
    const bool open = ports ? port == kDns || rules_.is_open(protocol, port, packet.source)
                            : rules_.is_open(packet.protocol, packet.source);
    return open ? Judged::pass : drop_closed(packet);
  }
  if (to != Place::app || !rules_.isolates()) return Judged::pass;
  ++drops_.isolated;
  return Judged::drop;
}

/// Looks at a TCP client's budget, and spends a UDP client's.
Firewall::Judged Firewall::judge_limit(Question& question, int limit) {
  if (limit < 0) return Judged::pass;
  const Packet& packet = question.packet;
  if (packet.protocol == kTcp && carries_data(packet)) {
    ++drops_.syn_data;
    return Judged::drop;
  }
  const auto index = static_cast<std::size_t>(limit);
  Tally& tally = tallies_[index];
  if (rules_.is_trusted(packet.source) || rules_.is_proxy(packet.source, packet.destination_port)) {
    ++tally.totals.uncounted;
    return Judged::pass;
  }
  question.limit = limit;
  Budgets& budgets = budgets_[index];
  const Client client = rules_.client(tally.limit(), packet.source);
  const std::uint64_t client_key = key(limit, client);
  const Budgets::AtOnce at_once = budgets.one_more(client_key, question.id, ticks_,
                                                   [this](std::uint64_t id) { return lives(id); });
  tally.at_once(at_once.connections, at_once.exact);
  bool refused = at_once.too_many;
  if (refused) ++tally.totals.refused_concurrent;
  if (packet.protocol == kTcp) {
    tally.asked(client_key, time_);
    if (!refused && !budgets.refuses(client, client_key, ticks_)) return Judged::pass;
    budgets.not_open(client_key, question.id, ticks_);
    tally.refused(tally.who(client, client_key), time_);
    return Judged::refused;
  }
  const Tally::Who who = tally.who(client, client_key);
  if (!question.again) tally.connected(who, time_);
  if (!refused) {
    const Answer answer = spend(limit, client, client_key);
    refused = answer == Answer::refused;
    if (answer == Answer::overflowed) ++tally.totals.overflowed;
  }
  if (refused) {
    budgets.not_open(client_key, question.id, ticks_);
    tally.refused(who, time_);
    return Judged::refused;
  }
  tally.admitted(who, time_);
  return Judged::pass;
}

Firewall::Judged Firewall::drop_closed(const Packet& packet) {
  if (packet.protocol != kTcp && packet.protocol != kUdp) {
    ++drops_.others;
    return Judged::drop;
  }
  closed_senders_.add(as_key(packet.source));
  ++drops_.closed;
  std::vector<PortTally>& ports = closed_[packet.protocol == kTcp ? 0 : 1];
  if (ports.empty()) ports.resize(65'536);
  PortTally& port = ports[packet.destination_port];
  if (port.packets++ == 0) {
    port.protocol = static_cast<Protocol>(packet.protocol);
    port.port = packet.destination_port;
    port.first = time_;
  }
  port.last = time_;
  return Judged::drop;
}

Answer Firewall::spend(int limit, const Client& client, std::uint64_t client_key) {
  const auto network_key = [&](int prefix) {
    const fw::Ip address = client.address;
    const int host_bits = fw::address_bits(address.family) - prefix;
    return key(limit, {{address.family, address.bits >> host_bits << host_bits}, -1});
  };
  return budgets_[static_cast<std::size_t>(limit)].take(client, client_key, ticks_, network_key);
}

std::uint64_t Firewall::key(int limit, const Client& client) const {
  limiter::Key key = as_key(client.address);
  key.limit = static_cast<std::uint32_t>(limit) << 1 | key.app;  // the family
  key.app = static_cast<std::uint32_t>(client.app + 1);
  return limiter::hash(secret_, key);
}

Seen Firewall::seen() const {
  Seen seen = seen_;
  seen.forgotten = flows_.forgotten();
  return seen;
}

std::vector<PortTally> Firewall::closed_ports() const {
  std::vector<PortTally> ports;
  for (const auto& protocol : closed_) {
    std::copy_if(protocol.begin(), protocol.end(), std::back_inserter(ports),
                 [](const PortTally& p) { return p.packets != 0; });
  }
  std::stable_sort(ports.begin(), ports.end(),
                   [](const PortTally& a, const PortTally& b) { return a.packets > b.packets; });
  return ports;
}

std::vector<Firewall::Sender> Firewall::closed_senders(std::size_t most) const {
  return largest(closed_senders_, most);
}
std::vector<Firewall::Sender> Firewall::blocked_senders(std::size_t most) const {
  return largest(blocked_senders_, most);
}

}  // namespace simulate
