// The audit of TLS: each host is looked at, then judged.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/plugin.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/audit/host.hpp"
#include "fw/plugins/tls/audit/nginx_file.hpp"
#include "fw/plugins/tls/audit/report.hpp"
#include "fw/plugins/tls/audit/shared_names.hpp"
#include "fw/plugins/tls/headers.hpp"

namespace fw::tls {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// What the options say, understood.
struct Wishes {
  std::vector<HostName> hosts;
  Rules rules = Rules::r2009r;
  Starttls starttls = Starttls::none;
  std::optional<Ip> address;
  std::string nginx;  ///< its folder; "": it is not looked at
};

/// The names of the policy's sites; no host is called by a wildcard.
std::vector<HostName> sites_of(const Policy& policy) {
  std::vector<HostName> hosts;
  const auto add = [&hosts](const std::string& name) {
    if (auto host = parse_host(name)) hosts.push_back(std::move(*host));
  };
  for (const Site& site : policy.sites) {
    add(site.name);
    for (const std::string& alias : site.aliases) add(alias);
  }
  return hosts;
}

/// The headers that are promised of a name: those of its site, or of any.
std::vector<Header> headers_of(const std::string& name, const Policy& policy) {
  const auto site = std::ranges::find_if(policy.sites, [&name](const Site& each) {
    return each.name == name || std::ranges::find(each.aliases, name) != each.aliases.end();
  });
  return site != policy.sites.end() ? plain_headers(policy.tls, *site) : plain_headers({}, {});
}

Result<Wishes> wishes_of(const OptionValues& options, const Policy& policy) {
  const auto option = [&options](const char* name) { return options.find(name)->second; };
  Wishes wishes;
  for (const std::string& line : lines_of(option("HOST"))) {
    auto host = parse_host(line);
    if (!host) return std::unexpected(host.error());
    wishes.hosts.push_back(std::move(*host));
  }
  wishes.nginx = option("nginx");
  if (wishes.hosts.empty()) {
    wishes.hosts = sites_of(policy);
    // The policy's sites are this host's; others' have nothing to do with its nginx.
    if (wishes.nginx.empty() && ::access("/etc/nginx/nginx.conf", R_OK) == 0)
      wishes.nginx = "/etc/nginx";
  }
  if (wishes.hosts.empty()) {
    return fail(ErrorCode::usage,
                "name a host: cloudron-fw audit tls HOST[:PORT]; the policy has no [[site]]");
  }
  if (wishes.hosts.size() > kTlsHostsMax)
    return fail(ErrorCode::usage, fmt::format("name at most {} hosts", kTlsHostsMax));
  if (!option("starttls").empty()) wishes.starttls = *parse_starttls(option("starttls"));
  if (!option("address").empty()) wishes.address = *parse_ip(option("address"));
  wishes.rules = *parse_rules(option("rules"));
  return wishes;
}

/// A request to port 80 of the address.
PlainHttp ask_plainly(const Target& target, Clock::time_point deadline) {
  Target plain = target;
  plain.endpoint.port = 80;
  const Question question{http_request(target.name), has_head};
  const Reply reply = ask(plain, std::span(&question, 1), deadline, kTlsHeaderBytesMax).front();
  const auto head = parse_head(reply.bytes);
  if (!head) return reply.bytes.empty() ? PlainHttp::closed : PlainHttp::answers;
  const std::string* const to = head->find("location");
  if (head->status < 300 || head->status >= 400 || to == nullptr) return PlainHttp::answers;
  return to->starts_with("https://") ? PlainHttp::redirects : PlainHttp::elsewhere;
}

Result<ChainFacts> judged(const std::vector<std::string>& chain, const std::string& name,
                          const Roots& roots, std::chrono::sys_seconds now) {
  ChainFacts facts;
  for (const std::string& der : chain) {
    auto one = read_certificate(der);
    if (one) {
      facts.certificates.push_back(std::move(*one));
    } else if (facts.certificates.empty()) {
      return std::unexpected(one.error());
    }
  }
  const auto verdict = roots.judge(chain, name, now);
  if (!verdict) return std::unexpected(verdict.error());
  facts.verdict = *verdict;
  return facts;
}

Result<HostFacts> look_at(const Target& target, const Roots& roots, std::chrono::sys_seconds now) {
  const auto deadline = Clock::now() + kTlsHostPatience;
  HostFacts facts;
  facts.starttls = target.starttls != Starttls::none;
  auto scanned = scan(target, deadline);
  if (!scanned) return std::unexpected(scanned.error());
  facts.scan = std::move(*scanned);
  auto chains = facts.scan.chains;
  auto session = open_session(target, facts.starttls ? AskHttp::no : AskHttp::yes, deadline);
  if (session) {
    const bool known = std::ranges::any_of(chains, [&](const auto& chain) {
      return !session->chain.empty() && chain.front() == session->chain.front();
    });
    if (!known && !session->chain.empty()) chains.push_back(session->chain);
    facts.session = std::move(*session);
  } else {
    facts.no_session = session.error().what;
  }
  if (chains.empty()) {
    return fail(ErrorCode::unsupported,
                fmt::format("{} shows no certificate{}", to_string(target.endpoint),
                            session ? "" : ": " + session.error().what));
  }
  for (const auto& chain : chains) {
    auto one = judged(chain, target.name, roots, now);
    if (!one) return std::unexpected(one.error());
    facts.chains.push_back(std::move(*one));
  }
  if (target.endpoint.port == 443 && !facts.starttls) facts.plain = ask_plainly(target, deadline);
  return facts;
}

Error about(Error error, const std::string& host) {
  if (error.context.empty()) error.context = host;
  return error;
}

class Audit {
 public:
  Audit(const Wishes& wishes, const Roots& roots, const AuditRequest& request)
      : wishes_(wishes), roots_(roots), policy_(request.policy), now_(request.now) {}

  Result<AuditReport> run() {
    for (const HostName& host : wishes_.hosts) audit_host(host);
    if (!wishes_.nginx.empty()) audit_proxy();
    if (report_.sheets.empty()) return std::unexpected(report_.unread.front());
    sort_findings(report_.findings);
    const auto audited = report_.sheets.size();
    report_.scope = fmt::format("{} {}", audited, audited == 1 ? "server" : "servers");
    return std::move(report_);
  }

 private:
  void unread(Error error, const std::string& host) {
    report_.unread.push_back(about(std::move(error), host));
    report_.complete = false;
  }

  void audit_host(const HostName& host) {
    const std::uint16_t port = host.port != 0 ? host.port : default_port(wishes_.starttls);
    const bool bare6 = host.name.find(':') != std::string::npos;
    const std::string subject =
        fmt::format("{}{}{}:{}", bare6 ? "[" : "", host.name, bare6 ? "]" : "", port);
    const auto addresses = wishes_.address ? std::vector{*wishes_.address} : resolve(host.name);
    if (!addresses) return unread(addresses.error(), subject);
    for (const Ip& ip : *addresses) {
      const Target target{{ip, port}, host.name, wishes_.starttls};
      const bool one_of_many = addresses->size() > 1;
      auto facts = look_at(target, roots_, now_);
      if (!facts) {
        unread(std::move(facts.error()), subject);
        continue;
      }
      facts->wanted = headers_of(host.name, policy_);
      facts->subject = one_of_many ? fmt::format("{} ({})", subject, to_string(ip)) : subject;
      note(*facts);
    }
  }

  void audit_proxy() {
    const auto config = read_nginx(wishes_.nginx);
    if (!config) return unread(config.error(), "nginx");
    for (const Error& error : config->unread) unread(error, "nginx");
    for (Finding& finding : findings_of(shared_names(config->directives)))
      report_.findings.push_back(std::move(finding));
  }

  void note(const HostFacts& facts) {
    if (!facts.scan.complete) {
      report_.warnings.push_back(facts.subject + " left questions open: it answered too slowly");
      report_.complete = false;
    }
    report_.sheets.push_back(sheet_of(facts, wishes_.rules, now_));
    for (Finding& finding : findings_of(facts, wishes_.rules, now_))
      report_.findings.push_back(std::move(finding));
  }

  const Wishes& wishes_;
  const Roots& roots_;
  const Policy& policy_;
  std::chrono::sys_seconds now_;
  AuditReport report_;
};

}  // namespace

Result<AuditReport> audit(const AuditRequest& request) {
  const auto wishes = wishes_of(request.options, request.policy);
  if (!wishes) return std::unexpected(wishes.error());
  const auto roots = Roots::load(request.options.find("ca")->second);
  if (!roots) return std::unexpected(roots.error());
  return Audit(*wishes, *roots, request).run();
}

std::string hosts_complaint(const std::string& lines) {
  for (const std::string& line : lines_of(lines)) {
    const auto host = parse_host(line);
    if (!host) return host.error().what;
  }
  return {};
}

std::string rules_complaint(const std::string& name) {
  if (parse_rules(name)) return {};
  return fmt::format("{} is no version of the rating guide: 2009r or 2009q", quote(name));
}

std::string address_complaint(const std::string& text) {
  if (text.empty() || parse_ip(text)) return {};
  return fmt::format("{} is no address", quote(text));
}

std::string starttls_complaint(const std::string& name) {
  if (name.empty() || parse_starttls(name)) return {};
  return fmt::format("{} is no protocol with STARTTLS: smtp, lmtp, imap, pop3 or sieve",
                     quote(name));
}

}  // namespace fw::tls
