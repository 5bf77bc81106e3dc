// What only shows when all sites are seen.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/contribution.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {
namespace {

class Checker {
 public:
  explicit Checker(const Policy& policy) : policy_(policy) {}

  std::vector<Problem> problems() {
    for (const Site& site : policy_.sites) {
      check_names(site);
      check_app(site);
      check_wildcard(site);
    }
    check_limiter();
    check_ports();
    return std::move(problems_);
  }

 private:
  void report(Severity severity, const Site& site, std::string what) {
    problems_.push_back({severity, fmt::format("site {}: {}", quote(site.name), what), site.where});
  }

  void check_names(const Site& site) {
    std::vector<std::string_view> names{site.name};
    names.insert(names.end(), site.aliases.begin(), site.aliases.end());
    for (const std::string_view name : names) {
      if (name.empty()) continue;  // reported when it was read
      const auto [it, inserted] = owners_.emplace(name, &site);
      if (inserted) continue;
      report(Severity::error, site,
             it->second == &site
                 ? fmt::format("{} is named twice; remove one", quote(name))
                 : fmt::format("{} already leads to the site in line {}; a name has one site",
                               quote(name), it->second->where.line));
    }
  }

  void check_app(const Site& site) {
    const bool discovers = policy_.discovery.from != Discover::none;
    if (site.app.empty() || discovers ||
        std::ranges::find(policy_.apps, site.app, &App::name) != policy_.apps.end())
      return;
    std::vector<std::string_view> known;
    for (const App& app : policy_.apps) known.push_back(app.name);
    const std::string_view near = nearest(site.app, known);
    report(Severity::error, site,
           fmt::format("there is no app {}{}", quote(site.app),
                       near.empty() ? "; add an [[app]] of that name, or use upstream"
                                    : fmt::format("; did you mean {}?", quote(near))));
  }

  /// A CA proves that a wildcard is somebody's by DNS alone.
  void check_wildcard(const Site& site) {
    const auto is_wildcard = [](const std::string& name) { return name.starts_with('*'); };
    if (site.certificate == CertificateFrom::certbot && policy_.tls.dns_hook.empty() &&
        (is_wildcard(site.name) || std::ranges::any_of(site.aliases, is_wildcard)))
      report(Severity::error, site,
             "a certificate for a wildcard needs [tls] dns_hook, or certificate = \"files\"");
  }

  /// nginx knows no accounts, so it could not ask by them.
  void check_limiter() {
    if (policy_.sites.empty() || policy_.tls.limiter != RequestLimiter::services) return;
    const HttpLimit* const limit = limit_of(policy_, kPasswordLimit);
    if (limit == nullptr) return;
    if (limit->per != HttpKey::account && limit->per != HttpKey::client_account) return;
    problems_.push_back({Severity::error,
                         fmt::format("[tls] limiter = \"services\" asks by client or site; limit "
                                     "\"password\" counts by {}",
                                     to_string(limit->per)),
                         limit->where});
  }

  /// Sites that nobody outside reaches.
  void check_ports() {
    if (policy_.sites.empty() || policy_.tls.proxy == ReverseProxy::none) return;
    const auto open = all_open_ports(policy_);
    const auto openings = all_openings(policy_);
    for (const std::uint16_t port : kWebPorts) {
      const bool reached = std::ranges::any_of(open,
                                               [port](const auto& each) {
                                                 return each.value.contains(Protocol::tcp, port);
                                               }) ||
                           std::ranges::any_of(openings, [port](const Opening& opening) {
                             return opening.opens(Protocol::tcp, port);
                           });
      if (reached) continue;
      report(Severity::warning, policy_.sites.front(),
             fmt::format(
                 "no rule opens port {}{}; add it to [ports] tcp", port,
                 port == 80 ? ", by which browsers are redirected and certificates renewed" : ""));
    }
  }

  const Policy& policy_;
  std::map<std::string_view, const Site*> owners_{};
  std::vector<Problem> problems_{};
};

}  // namespace

std::vector<Problem> check(const Policy& policy) { return Checker(policy).problems(); }

}  // namespace fw::tls
