// What was found of a server, as rows of a table and as weaknesses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/report.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw::tls {
namespace {

constexpr const char* kNotTested[] = {"BEAST",         "CCS injection", "DROWN",
                                      "FALLBACK_SCSV", "Heartbleed",    "revocation",
                                      "ROBOT",         "Ticketbleed",   "TLS POODLE"};
constexpr std::size_t kNamesShown = 16;

std::string date_of(CertificateTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

/// "2026-12-01, in 4 days"
std::string end_of(CertificateTime end, std::chrono::sys_seconds now) {
  const auto days = std::chrono::floor<std::chrono::days>(end - now).count();
  if (end < now) return date_of(end) + ", which is over";
  return fmt::format("{}, in {} {}", date_of(end), days, days == 1 ? "day" : "days");
}

std::string text_of(const Roots::Verdict& verdict) {
  std::string text = verdict.trust == Trust::trusted       ? "trusted"
                     : verdict.trust == Trust::incomplete  ? "incomplete"
                     : verdict.trust == Trust::self_signed ? "self-signed"
                                                           : "not trusted";
  if (!verdict.why.empty()) text += " (" + verdict.why + ")";
  if (!verdict.name_fits) text += ", for other names";
  return text;
}

const char* text_of(PlainHttp plain) {
  switch (plain) {
    case PlainHttp::not_asked:
      return "not asked";
    case PlainHttp::closed:
      return "closed";
    case PlainHttp::redirects:
      return "redirects to https";
    case PlainHttp::elsewhere:
      return "redirects, but not to https";
    case PlainHttp::answers:
      return "answers without TLS";
  }
  return "";
}

const char* text_of(UnknownName unknown) {
  switch (unknown) {
    case UnknownName::refused:
      return "refused";
    case UnknownName::other_site:
      return "answered with another certificate";
    case UnknownName::this_site:
      return "answered with this certificate";
    case UnknownName::answered:
      return "answered";
  }
  return "";
}

class Sheet {
 public:
  explicit Sheet(std::string subject) { sheet_.subject = std::move(subject); }
  void add(const char* name, std::vector<std::string> values) {
    if (!values.empty()) sheet_.rows.push_back({name, std::move(values)});
  }
  void add(const char* name, std::string value) { add(name, std::vector{std::move(value)}); }
  void grade(std::string letter) { sheet_.grade = std::move(letter); }
  AuditSheet take() { return std::move(sheet_); }

 private:
  AuditSheet sheet_;
};

void add_offers(const ScanFacts& scan, Sheet& sheet) {
  std::vector<std::string> versions;
  std::vector<std::string> suites;
  for (const VersionSuites& one : scan.offered) {
    versions.emplace_back(to_string(one.version));
    for (const std::uint32_t code : one.suites)
      suites.push_back(fmt::format("{} {}", to_string(one.version), suite_name(code)));
  }
  std::vector<std::string> groups;
  for (const std::uint16_t code : scan.groups) groups.push_back(group_name(code));
  if (scan.dh_bits) groups.push_back(fmt::format("DH {}", *scan.dh_bits));
  sheet.add("protocols", std::move(versions));
  sheet.add("suites", std::move(suites));
  sheet.add("groups", std::move(groups));
  sheet.add("compression", scan.compression ? "yes" : "no");
  sheet.add("renegotiation", scan.renegotiates_safely ? "secure, or none" : "insecure");
}

void add_chain(const ChainFacts& chain, std::chrono::sys_seconds now, Sheet& sheet) {
  const CertificateFacts& own = chain.certificates.front();
  std::vector<std::string> names = own.names;
  if (names.size() > kNamesShown) {
    names.resize(kNamesShown);
    names.push_back(fmt::format("and {} more", own.names.size() - kNamesShown));
  }
  sheet.add("certificate", own.subject);
  sheet.add("names", std::move(names));
  sheet.add("issuer", own.issuer);
  sheet.add("key", own.key_name + ", signed with " + own.signature);
  sheet.add("expires", end_of(own.not_after, now));
  sheet.add("chain", fmt::format("{} {}, {}", chain.certificates.size(),
                                 chain.certificates.size() == 1 ? "certificate" : "certificates",
                                 text_of(chain.verdict)));
}

void add_http(const HttpHead& head, const std::vector<Header>& wanted, Sheet& sheet) {
  const std::string* const hsts = head.find("strict-transport-security");
  sheet.add("hsts", hsts != nullptr ? printable(*hsts) : "none");
  std::vector<std::string> flaws;
  for (const HeaderFlaw& flaw : header_flaws(head, wanted))
    flaws.push_back(flaw.found.empty() ? flaw.name + " is missing"
                                       : flaw.name + " is " + quote(flaw.found));
  if (flaws.empty()) flaws.emplace_back("as they should be");
  sheet.add("headers", std::move(flaws));
  std::vector<std::string> cookies;
  for (const CookieFlaw& flaw : cookie_flaws(head))
    cookies.push_back(printable(flaw.name) + " lacks " + flaw.missing);
  sheet.add("cookies", std::move(cookies));
}

void add_grade(const Grade& grade, Rules rules, Sheet& sheet) {
  std::string letter = to_string(grade.letter);
  sheet.add("rules", to_string(rules));
  sheet.add("scores",
            {fmt::format("protocol {}", grade.protocol), fmt::format("key exchange {}", grade.key),
             fmt::format("cipher {}", grade.cipher), fmt::format("total {}", grade.total)});
  if (grade.letter >= Letter::name) sheet.add("if trusted", to_string(grade.if_trusted));
  std::vector<std::string> caps;
  for (const Cap& cap : grade.caps)
    caps.push_back(fmt::format("{}: {}", to_string(cap.letter), cap.reason));
  sheet.add("caps", std::move(caps));
  sheet.grade(std::move(letter));
}

FindingSeverity severity_of(const Cap& cap) {
  if (cap.letter >= Letter::f) return FindingSeverity::high;
  if (cap.letter >= Letter::b || cap.rule == "tls-no-hsts") return FindingSeverity::medium;
  return FindingSeverity::low;
}

void add_http_findings(const HostFacts& facts, std::vector<Finding>& findings) {
  const auto add = [&](FindingSeverity severity, const char* rule, std::string what,
                       const char* impact, std::string fix) {
    findings.push_back(
        {severity, rule, facts.subject, std::move(what), impact, std::move(fix), ""});
  };
  if (facts.session && facts.session->head) {
    for (const HeaderFlaw& flaw : header_flaws(*facts.session->head, facts.wanted)) {
      add(FindingSeverity::low, "http-header",
          flaw.found.empty() ? flaw.name + " is missing" : flaw.name + " is " + quote(flaw.found),
          "a browser allows more than the app needs",
          fmt::format("add_header {} \"{}\" always;", flaw.name, flaw.expected));
    }
    for (const CookieFlaw& flaw : cookie_flaws(*facts.session->head)) {
      add(FindingSeverity::low, "http-cookie",
          fmt::format("the cookie {} lacks {}", quote(flaw.name), flaw.missing),
          "it is sent without TLS, read by scripts, or sent with requests of other sites",
          fmt::format("proxy_cookie_flags {} secure httponly samesite=lax;", printable(flaw.name)));
    }
  }
  constexpr const char* kRedirect = "return 308 https://$host$request_uri;";
  if (facts.plain == PlainHttp::answers || facts.plain == PlainHttp::elsewhere) {
    add(FindingSeverity::medium, "http-no-redirect", std::string("port 80 ") + text_of(facts.plain),
        "who sits between reads and changes everything", kRedirect);
  }
}

void add_name_finding(const HostFacts& facts, std::vector<Finding>& findings) {
  const auto unknown = facts.scan.unknown_name;
  if (!unknown || *unknown == UnknownName::refused) return;
  findings.push_back({FindingSeverity::low, "tls-unknown-name", facts.subject,
                      std::string("a name that no site has is ") + text_of(*unknown),
                      "who tries addresses learns which sites are here, and names that point "
                      "here by mistake or ill will get a site",
                      "server { listen 443 ssl default_server; ssl_reject_handshake on; }", ""});
}

void add_expiry_finding(const HostFacts& facts, std::chrono::sys_seconds now,
                        std::vector<Finding>& findings) {
  const CertificateFacts& own = facts.chains.front().certificates.front();
  // Renewal is due at a third of its life: at a sixth, it has failed for a while.
  const auto due = own.not_after - (own.not_after - own.not_before) / 6;
  if (now < due || now >= own.not_after) return;
  findings.push_back({FindingSeverity::medium, "tls-expires", facts.subject,
                      "the certificate ends on " + end_of(own.not_after, now),
                      "browsers refuse the site then", "certbot renew, and see why it has not",
                      ""});
}

}  // namespace

GradeFacts grade_facts(const HostFacts& facts) {
  GradeFacts all;
  all.offered = facts.scan.offered;
  // Mail that is sent to anybody is encrypted without proof before it is not encrypted.
  if (facts.starttls) {
    for (VersionSuites& one : all.offered)
      std::erase_if(one.suites, [](std::uint32_t code) { return traits(code).anonymous; });
    std::erase_if(all.offered, [](const VersionSuites& one) { return one.suites.empty(); });
  }
  all.compression = facts.scan.compression;
  all.renegotiates_safely = facts.scan.renegotiates_safely;
  for (const ChainFacts& chain : facts.chains) {
    all.keys.push_back(chain.certificates.front().key);
    if (all.trust == Trust::trusted) all.trust = chain.verdict.trust;
    all.name_fits &= chain.verdict.name_fits;
    for (const CertificateFacts& one : chain.certificates) {
      all.sha1 |= one.sha1 && !one.self_signed;
      all.md5 |= one.md5 && !one.self_signed;
    }
    all.sha1 |= chain.certificates.front().sha1;
    all.md5 |= chain.certificates.front().md5;
  }
  if (facts.scan.dh_bits) all.keys.push_back({KeyStrength::Kind::rsa, *facts.scan.dh_bits});
  for (const std::uint16_t code : facts.scan.groups) {
    const Group* const group = find_group(code);
    if (group == nullptr || group->kind == Group::Kind::finite_field) continue;
    all.keys.push_back({KeyStrength::Kind::elliptic, group->bits});
  }
  if (facts.session && facts.session->head)
    all.hsts = hsts_of(facts.session->head->find("strict-transport-security"));
  return all;
}

AuditSheet sheet_of(const HostFacts& facts, Rules rules, std::chrono::sys_seconds now) {
  Sheet sheet(facts.subject);
  if (!facts.starttls) add_grade(grade(grade_facts(facts), rules), rules, sheet);
  add_offers(facts.scan, sheet);
  for (const ChainFacts& chain : facts.chains) add_chain(chain, now, sheet);
  if (facts.session) {
    const bool asks = facts.chains.front().certificates.front().has_ocsp;
    sheet.add("stapling", facts.session->stapled ? "yes"
                          : asks                 ? "no"
                                                 : "no, and the certificate needs none");
    sheet.add("ct",
              fmt::format("{} {}", facts.session->scts,
                          facts.session->scts == 1 ? "promise of a log" : "promises of logs"));
    if (facts.session->head) add_http(*facts.session->head, facts.wanted, sheet);
    if (!facts.session->head && !facts.starttls) sheet.add("http", facts.session->no_head);
  } else {
    sheet.add("session", facts.no_session);
  }
  if (facts.plain != PlainHttp::not_asked) sheet.add("port 80", text_of(facts.plain));
  if (facts.scan.unknown_name) sheet.add("unknown name", text_of(*facts.scan.unknown_name));
  sheet.add("not tested", std::vector<std::string>(std::begin(kNotTested), std::end(kNotTested)));
  return sheet.take();
}

std::vector<Finding> findings_of(const HostFacts& facts, Rules rules,
                                 std::chrono::sys_seconds now) {
  std::vector<Finding> findings;
  for (Cap& cap : grade(grade_facts(facts), rules).caps) {
    if (facts.starttls && cap.rule.ends_with("hsts")) continue;
    findings.push_back(
        {severity_of(cap), cap.rule, facts.subject, cap.reason, cap.impact, cap.fix, ""});
  }
  add_expiry_finding(facts, now, findings);
  if (!facts.starttls) add_http_findings(facts, findings);
  add_name_finding(facts, findings);
  return findings;
}

}  // namespace fw::tls
