// Collects all that is counted.
#include "fw/daemon/counts.hpp"

#include <algorithm>

#include "chains/compile.hpp"

namespace fw {
namespace {

/// Elements of a set: what the kernel said by the way, else (before 6.16) a dump.
Result<std::uint64_t> fill(chains::Kernel& kernel, const chains::Observed& observed,
                           const std::string& set) {
  const auto known = observed.set_fill.find(set);
  if (known != observed.set_fill.end()) return known->second;
  if (!observed.ruleset) return 0;
  return kernel.count_elements(set);
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

}  // namespace

Result<Counts> count(chains::Kernel& kernel, Store& store, const Policy& policy, const Sight& sight,
                     const DaemonCounts& daemon, WallTime now) {
  const auto observed = kernel.read();
  if (!observed) return std::unexpected(observed.error());
  auto origins = store.origins(now);
  if (!origins) return std::unexpected(origins.error());
  Counts out;
  out.present = observed->table() != nullptr;
  for (const Limit& limit : policy.limits) {
    auto counted = count_limit(kernel, *observed, limit);
    if (!counted) return std::unexpected(counted.error());
    out.limits.push_back(std::move(*counted));
  }
  for (const auto& [name, packets] : observed->counters) {
    if (name.find('.') == std::string::npos) out.dropped[name] = packets.packets;
  }
  out.connections = sight.connections();
  out.open = sight.open();
  out.apps = sight.apps();
  out.blocks = std::move(*origins);
  out.daemon = daemon;
  return out;
}

}  // namespace fw
