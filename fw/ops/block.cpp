// Blocking and unblocking.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/block.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "fw/base/endpoint.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"
#include "fw/ops/daemon_client.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/trial.hpp"
#include "fw/ops/words.hpp"

namespace fw::ops {
namespace {

namespace json = boost::json;

/// "203.0.113.7", "203.0.113.7, 203.0.113.8 and 12 more".
std::string named(const std::vector<Block>& blocks) {
  constexpr std::size_t kNamed = 3;
  std::string out;
  for (std::size_t i = 0; i < std::min(blocks.size(), kNamed); ++i) {
    out += (i == 0 ? "" : ", ") + to_string(blocks[i].range);
  }
  if (blocks.size() > kNamed) out += " and " + grouped(blocks.size() - kNamed) + " more";
  return out;
}

json::array first_addresses(const std::vector<Block>& blocks) {
  json::array out;
  for (std::size_t i = 0; i < blocks.size() && i < kActivityLinesMax; ++i) {
    out.emplace_back(to_string(blocks[i].range));
  }
  return out;
}

/// Whose block it is, where it is not the admin's.
std::string by_origin(const std::string& origin) {
  return origin.empty() || origin == "admin" ? "" : " by " + quote(origin);
}

/// What a command opens for itself, where no daemon does it.
struct OpenedHere {
  StateLock lock;
  chains::Kernel kernel;
  Store store;
};
Result<OpenedHere> open_here(const Environment& env) {
  auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  (void)settle_trial(env);
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto store = Store::open(env.state_dir);
  if (!store) return std::unexpected(store.error());
  return OpenedHere{std::move(*lock), std::move(*kernel), std::move(*store)};
}

/// A sentence for the admin: packets that come through a proxy have the proxy's address.
std::string behind_proxies(const Policy& policy) {
  if (policy.proxies.empty()) return {};
  if (policy.tls.proxy != ReverseProxy::nginx)
    return "behind the proxies of [trusted] this has no effect: only nginx asks who is blocked";
  const bool asks = policy.tls.limiter == RequestLimiter::services && !policy.sites.empty();
  return asks ? "behind the proxies of [trusted], requests to the sites get status 403 while "
                "cloudron-fw-services runs"
              : "behind the proxies of [trusted] this has no effect; [tls] limiter = \"services\" "
                "refuses requests to the sites there";
}

/// What the guard leaves of a request: `addresses` alone.
template <class Request>
struct Guarded {
  Request request;
  std::vector<LeftOut> left_out;
};

enum class Asks { block, unblock };

/// Arguments of an unblock are taken as they are: it is files that name by mistake what the guard
/// knows. So a file that was blocked is unblocked without more.
template <class Request>
Result<Guarded<Request>> guarded(const Environment& env, const BlockGuard& guard, Request request,
                                 Asks asks, bool force) {
  std::optional<Ip> caller;
  if (!force && env.caller.session()) caller = env.caller.session()->remote;
  request.addresses = clients(guard, std::move(request.addresses), request.prefix6);
  if (asks == Asks::block && !force) {
    const auto objections = guard.objections(request.addresses, caller);
    if (!objections.empty()) {
      return fail(ErrorCode::usage, objection_text(objections, "use --force to block it anyway"));
    }
  }
  Guarded<Request> out;
  const auto listed = clients(guard, std::move(request.listed.addresses), request.prefix6);
  for (std::size_t i = 0; i < listed.size(); ++i) {
    auto objection = force ? std::optional<Objection>() : guard.objection(listed[i], caller);
    if (objection) {
      out.left_out.push_back({i, std::move(*objection)});
    } else {
      request.addresses.push_back(listed[i]);
    }
  }
  request.prefix6 = 128;
  request.listed.addresses.clear();
  out.request = std::move(request);
  return out;
}

}  // namespace

std::vector<IpRange> clients(const BlockGuard& guard, std::vector<IpRange> addresses, int prefix6) {
  for (IpRange& range : addresses) {
    if (range.family == Family::ipv4 || !range.single()) continue;
    range = guard.client({range.family, range.first}, prefix6);
  }
  return addresses;
}

std::optional<Ip> remote_of(const Actor& actor) {
  const auto remote = parse_endpoint(actor.remote);
  return remote ? std::optional(remote->ip) : std::nullopt;
}

std::string objection_text(const std::vector<Objection>& objections, const std::string& remedy) {
  constexpr std::size_t kSaid = 3;
  std::string why;
  for (std::size_t i = 0; i < std::min(objections.size(), kSaid); ++i) {
    why += (i == 0 ? "" : "; ") + to_string(objections[i]);
  }
  if (objections.size() > kSaid) why += fmt::format("; and {} more", objections.size() - kSaid);
  return why + ": nothing was blocked; " + remedy;
}

Result<BlockReport> block(const Opened& with, const BlockRequest& request, Cut cut) {
  const WallTime now = wall_clock();  // under the lock: the wait for it is no part of the block
  std::optional<WallTime> until;
  if (request.lasts) until = now + *request.lasts;
  BlockReport report;
  report.blocked.reserve(request.addresses.size());
  for (const IpRange& range : request.addresses) {
    report.blocked.push_back({range, until, request.reason, request.origin, now});
  }
  auto done = fw::block(with.kernel, with.store, with.admission, report.blocked, now, cut);
  if (!done) return std::unexpected(done.error());
  report.kept_longer = std::move(done->change.kept_longer);
  report.longer_by_others = std::move(done->change.longer_by_others);
  report.in_force = done->in_force;
  report.flows_cut = done->flows_cut;
  report.warnings = std::move(done->warnings);
  return report;
}

Result<UnblockReport> unblock(const Opened& with, const UnblockRequest& request) {
  auto done = fw::unblock(with.kernel, with.store, request.addresses, wall_clock(), request.origin);
  if (!done) return std::unexpected(done.error());
  BlockChange& change = done->change;
  return UnblockReport{std::move(change.removed), std::move(change.still_covers),
                       std::move(change.not_found), done->in_force, std::move(done->warnings)};
}

Row row_of(const BlockRequest& request, const BlockReport& report) {
  const std::string reason = printable(request.reason, 256);
  const std::string length =
      request.lasts ? "for " + to_string(*request.lasts) : std::string("permanently");
  return {fmt::format("{} {}{}{}{}", named(report.blocked), length, by_origin(request.origin),
                      reason.empty() ? "" : ": ", reason),
          {{"count", report.blocked.size()},
           {"addresses", first_addresses(report.blocked)},
           {"for", length},
           {"reason", reason},
           {"origin", printable(request.origin)},
           {"in_force", report.in_force},
           {"flows_cut", report.flows_cut}}};
}

Row row_of(const UnblockRequest& request, const UnblockReport& report) {
  return {named(report.unblocked) + by_origin(request.origin),
          {{"count", report.unblocked.size()},
           {"addresses", first_addresses(report.unblocked)},
           {"origin", printable(request.origin)}}};
}

Result<BlockReport> block(const Environment& env, const LoadedPolicy& policy,
                          BlockRequest request) {
  const BlockGuard guard(policy.policy, read_own_network());
  const bool force = request.force;
  auto allowed = guarded(env, guard, std::move(request), Asks::block, force);
  if (!allowed) return std::unexpected(allowed.error());
  const BlockRequest& wanted = allowed->request;
  if (wanted.addresses.empty()) {
    return BlockReport{{}, {}, {}, true, 0, {}, std::move(allowed->left_out)};
  }
  const auto working =
      env.working("blocking " + plural(wanted.addresses.size(), "entry", "entries"));
  auto report = block_by_daemon(env, wanted);
  if (!report) {
    auto opened = open_here(env);
    if (!opened) return std::unexpected(opened.error());
    report = block({opened->kernel, opened->store, chains::Admission(policy.policy.label_bit)},
                   wanted, Cut::all);
    if (*report) {
      const Row row = row_of(wanted, **report);
      record(env, policy.stands_in ? nullptr : &policy.policy, "block", row.summary, row.details);
    }
  }
  if (*report) {
    (*report)->left_out = std::move(allowed->left_out);
    (*report)->behind_proxies = behind_proxies(policy.policy);
  }
  return std::move(*report);
}

Result<UnblockReport> unblock(const Environment& env, const PolicySource& source,
                              UnblockRequest request) {
  std::vector<LeftOut> left_out;
  if (request.prefix6 != 128 || !request.listed.addresses.empty()) {
    const BlockGuard guard(load_some_policy(env, source).policy, read_own_network());
    auto allowed = guarded(env, guard, std::move(request), Asks::unblock, false);
    if (!allowed) return std::unexpected(allowed.error());
    request = std::move(allowed->request);
    left_out = std::move(allowed->left_out);
    if (request.addresses.empty()) return UnblockReport{{}, {}, {}, true, {}, std::move(left_out)};
  }
  const auto working =
      env.working("unblocking " + plural(request.addresses.size(), "entry", "entries"));
  auto report = unblock_by_daemon(env, request);
  if (!report) {
    auto opened = open_here(env);
    if (!opened) return std::unexpected(opened.error());
    report = unblock({opened->kernel, opened->store, chains::Admission(0)}, request);
    if (*report && !(*report)->unblocked.empty()) {
      const Row row = row_of(request, **report);
      record(env, nullptr, "unblock", row.summary, row.details);
    }
  }
  if (*report) (*report)->left_out = std::move(left_out);
  return std::move(*report);
}

Result<BlockList> blocks_of(Store& store, std::size_t most) {
  auto snapshot = store.blocks(wall_clock());
  if (!snapshot) return std::unexpected(snapshot.error());
  BlockList out{std::move(snapshot->blocks), 0};
  out.all = out.blocks.size();
  if (out.all > most) out.blocks.resize(most);
  return out;
}

Result<BlockList> blocks(const Environment& env) {
  if (needs_daemon(env)) return blocks_of_daemon(env);
  if (!has_state(env)) return BlockList{};
  auto store = Store::open(env.state_dir);
  if (!store) return std::unexpected(store.error());
  return blocks_of(*store);
}

}  // namespace fw::ops
