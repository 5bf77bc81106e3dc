// What certificates the sites have, and what is kept of earlier attempts.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/certs.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/certs/files.hpp"

namespace fw::certs {
namespace {

/// Does one of the certificate's names stand for the name?
bool covers(const std::vector<std::string>& names, const std::string& wanted) {
  return std::ranges::any_of(names, [&wanted](const std::string& name) {
    if (name == wanted) return true;
    const std::size_t dot = wanted.find('.');
    return name.starts_with("*.") && dot != wanted.npos && wanted.substr(dot) == name.substr(1);
  });
}

/// Why nginx or browsers cannot use it.
std::string problem_of(const Site& site, const tls::CertificateFacts& facts,
                       const tls::CertificateFiles& files, sys_seconds now) {
  if (const auto fits = key_fits(files.certificate, files.key); !fits) return fits.error().what;
  if (now >= facts.not_after) return "has expired";
  if (now < facts.not_before) return "is not valid yet";
  std::vector<std::string> names{site.name};
  names.insert(names.end(), site.aliases.begin(), site.aliases.end());
  for (const std::string& name : names) {
    if (!covers(facts.names, name)) return fmt::format("is not for {}", name);
  }
  return {};
}

}  // namespace

Result<std::vector<SiteCertificate>> certificates(const CertificatesRequest& request) {
  const sys_seconds now = request.now;
  const RenewalRecords records = read_records(request.kept, now);
  std::vector<SiteCertificate> all;
  for (const Site& site : request.policy.sites) {
    const tls::CertificateFiles files = tls::certificate_files(site, request.places.letsencrypt);
    SiteCertificate one{.site = site.name, .from = site.certificate, .file = files.certificate};
    if (const auto record = records.find(site.name); record != records.end())
      one.record = record->second;
    const auto facts = read_certificate_file(files.certificate);
    std::optional<Validity> validity;
    if (facts) {
      one.facts = *facts;
      one.problem = problem_of(site, *facts, files, now);
      validity = Validity{facts->not_before, facts->not_after};
      one.alarming = is_alarming(*validity, now);
      // What cannot be used is replaced now.
      if (!one.problem.empty()) validity.reset();
    } else {
      one.problem =
          facts.error().code == ErrorCode::missing ? "is not there yet" : facts.error().what;
    }
    if (site.certificate == CertificateFrom::certbot)
      one.next = next_renewal(validity, one.record, request.spread);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace fw::certs
