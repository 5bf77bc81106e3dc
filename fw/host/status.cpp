// What the kernel holds and counted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/status.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "chains/compile.hpp"
#include "chains/text.hpp"
#include "fw/base/ip_protocol.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"

namespace fw {
namespace {

/// Elements of a set: what the kernel said by the way, else a dump.
Result<std::uint64_t> fill(chains::Kernel& kernel, const chains::Observed& observed,
                           const std::string& set) {
  const auto known = observed.set_fill.find(set);
  if (known != observed.set_fill.end()) return known->second;
  if (observed.table() == nullptr || chains::find(observed.table()->sets, set) == nullptr) return 0;
  return kernel.count_elements(set);
}

/// "for some" of a port's key: for whom the policy opens it.
std::string for_whom(const Policy& policy, const chains::Set& set, const chains::Bytes& key) {
  const bool udp = set.name.starts_with("some_udp");
  std::string text;
  for (const Opening& opening : all_openings(policy)) {
    const bool meant = key.size() == 1
                           ? std::ranges::find(opening.protocols, key[0]) != opening.protocols.end()
                           : opening.opens(udp ? Protocol::udp : Protocol::tcp,
                                           static_cast<std::uint16_t>(key[0] << 8 | key[1]));
    if (meant) text += (text.empty() ? " " : "; ") + audience(opening);
  }
  return text.empty() ? " for some" : text;
}

/// What [[open]] opens.
void read_openings(const Policy& policy, const chains::Observed& observed,
                   std::vector<Status::Port>& out) {
  for (const char* name :
       {"some_tcp", "some_tcp_ranges", "some_udp", "some_udp_ranges", chains::kSomeProtocols}) {
    const chains::Set* set = chains::find(observed.table()->sets, name);
    if (set == nullptr) continue;
    const auto& counts = observed.element_counts.at(name);
    for (std::size_t i = 0; i < set->elements.size(); ++i) {
      chains::Element element = set->elements[i];
      element.data = {};
      const std::string what =
          element.key.size() == 1
              ? protocol_text(element.key[0])
              : (std::string_view(name).starts_with("some_udp") ? "udp/" : "tcp/") +
                    chains::to_text(*set, element);
      out.push_back({what + for_whom(policy, *set, element.key), counts[i].packets});
    }
  }
}

std::vector<Status::Port> read_ports(const Policy& policy, const chains::Observed& observed) {
  std::vector<Status::Port> out;
  for (const char* name : {"open_tcp", "open_tcp_ranges", "open_udp", "open_udp_ranges"}) {
    const chains::Set* set = chains::find(observed.table()->sets, name);
    if (set == nullptr) continue;
    const auto& counts = observed.element_counts.at(name);
    const bool udp = std::string(name).starts_with("open_udp");
    for (std::size_t i = 0; i < set->elements.size(); ++i) {
      chains::Element port = set->elements[i];
      port.data = {};  // where it leads is of no interest here
      out.push_back({(udp ? "udp/" : "tcp/") + chains::to_text(*set, port), counts[i].packets});
    }
  }
  read_openings(policy, observed, out);
  return out;
}

}  // namespace

Result<std::string> label_trouble(chains::Kernel& kernel, const Policy& policy) {
  const auto writers = kernel.label_writers(chains::Admission(policy.label_bit).all());
  if (!writers) return std::unexpected(writers.error());
  if (writers->empty()) return std::string();
  return fmt::format(
      "another program decides which connections pass: {} sets the bits of connection labels in "
      "which cloudron-fw keeps its decisions; remove that rule, or choose other bits "
      "([advanced] ct_label_bit)",
      fmt::join(*writers, "; "));
}

Result<LimitCounts> count_limit(chains::Kernel& kernel, const chains::Observed& observed,
                                const Limit& limit) {
  const auto packets = [&](const char* part) {
    const auto found = observed.counters.find(limit.name + "." + part);
    return found == observed.counters.end() ? 0 : found->second.packets;
  };
  LimitCounts out{limit.name, limit.rate, packets("accepted"), packets("refused"),
                  packets("overflowed")};
  for (const std::string& set : chains::meter_sets(limit)) {
    const auto elements = fill(kernel, observed, set);
    if (!elements) return std::unexpected(elements.error());
    out.sources += *elements;
    out.fullest = std::max(out.fullest, *elements);
  }
  return out;
}

std::map<std::string, std::uint64_t> count_dropped(const chains::Observed& observed) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& [name, packets] : observed.counters) {
    if (name.find('.') == std::string::npos) out[name] = packets.packets;
  }
  return out;
}

std::uint64_t count_unlabelled(const chains::Observed& observed) {
  const auto found = observed.counters.find(chains::kUnlabelled);
  return found == observed.counters.end() ? 0 : found->second.packets;
}

Trouble read_trouble(const std::string& state_dir) {
  Trouble out;
  out.panic = read_panic(state_dir);
  out.nobody_gets_in = out.panic && out.panic->panic.callers.empty() &&
                       desired_policy(state_dir, this_moment()).policy.trusted.empty();
  out.off = switched_off(state_dir);
  if (const auto record = read_trial_record(state_dir)) {
    out.trial =
        Trouble::Trial{name_of(*record), record->until_wall, time_left(*record, this_moment())};
  }
  return out;
}

Result<Status> read_status(Manager& manager, const Policy& policy, const Policy& applied,
                           chains::Unused unused, ListUse use) {
  auto report = manager.apply(policy, ApplyMode::dry_run, unused, use);
  if (!report) return std::unexpected(report.error());
  const chains::Observed& observed = report->observed;
  Status out;
  out.present = observed.table() != nullptr;
  out.equal = !report->changed;
  out.differences = report->difference.rules.all + report->difference.contents.size();
  if (keeps_apart(policy)) {
    const auto filtered = bridged_packets_are_filtered();
    if (!filtered) out.warnings.push_back(to_string(filtered.error()));
  }
  out.settings = weak_settings();
  const auto trouble = label_trouble(manager.kernel(), policy);
  if (!trouble) return std::unexpected(trouble.error());
  if (!trouble->empty()) out.warnings.push_back(*trouble);
  out.lists = std::move(report->lists.reports);
  if (!out.present) return out;
  out.ports = read_ports(applied, observed);
  for (const Limit& limit : policy.limits) {
    auto counts = count_limit(manager.kernel(), observed, limit);
    if (!counts) return std::unexpected(counts.error());
    std::vector<std::string> ports;
    for (const PortRange& range : limit.ports) ports.push_back(to_string(range));
    if (limit.counts_pings()) ports.emplace_back(kPingLimit);
    out.limits.push_back({std::move(*counts), std::move(ports), limit.from, limit.per});
  }
  out.dropped = count_dropped(observed);
  out.unlabelled = count_unlabelled(observed);
  return out;
}

}  // namespace fw
