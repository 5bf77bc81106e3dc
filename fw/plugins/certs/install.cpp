// Renewal: certbot gets certificates, nginx uses them, and people are told of failures.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "fw/base/file.hpp"
#include "fw/base/process.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/certs/certs.hpp"
#include "fw/plugins/certs/records.hpp"

namespace fw::certs {
namespace {

namespace fs = std::filesystem;

constexpr ProcessBounds kCertbotBounds{std::chrono::minutes{10}, 64 * 1024};
constexpr ProcessBounds kNotifyBounds{std::chrono::seconds{30}, 4096};
const std::string kNginx = "nginx";  // stands for all sites among the attempts

constexpr std::size_t kLogBytesMax = 16u << 20;

std::string logs_of(const tls::InstallPlaces& places) {
  return places.letsencrypt == tls::kLetsEncrypt ? "/var/log/letsencrypt"
                                                 : places.letsencrypt + "/logs";
}

std::vector<std::string> certbot_words(const Policy& policy, const Site& site,
                                       const tls::InstallPlaces& places) {
  const Tls& tls = policy.tls;
  std::vector<std::string> words = {"certbot",           "certonly",
                                    "--non-interactive", "--agree-tos",
                                    "--force-renewal",   "--no-autorenew",
                                    "--key-type",        "ecdsa",
                                    "--cert-name",       tls::certificate_name(site),
                                    "--server",          tls.acme_server};
  const auto add = [&words](std::initializer_list<std::string> more) {
    words.insert(words.end(), more);
  };
  if (places.letsencrypt != tls::kLetsEncrypt) {
    const std::string& folder = places.letsencrypt;
    add({"--config-dir", folder, "--work-dir", folder + "/work", "--logs-dir", logs_of(places)});
    if (fs::exists(folder + "/cli.ini")) add({"--config", folder + "/cli.ini"});
  }
  if (tls.acme_email.empty()) {
    add({"--register-unsafely-without-email"});
  } else {
    add({"--email", tls.acme_email, "--no-eff-email"});
  }
  std::vector<std::string> names{site.name};
  names.insert(names.end(), site.aliases.begin(), site.aliases.end());
  if (std::ranges::any_of(names, [](const std::string& name) { return name.starts_with('*'); })) {
    add({"--manual", "--preferred-challenges", "dns", "--manual-auth-hook", tls.dns_hook,
         "--manual-cleanup-hook", tls.dns_hook});
  } else {
    add({"--webroot", "--webroot-path", places.webroot});
  }
  for (const std::string& name : names) add({"--domain", name});
  return words;
}

/// Why it failed; "" when it did not.
std::string run_certbot(const Policy& policy, const Site& site, const tls::InstallPlaces& places) {
  const auto begun = fs::file_time_type::clock::now();
  const auto end = run_process(certbot_words(policy, site, places), kCertbotBounds);
  if (!end) {
    if (end.error().code == ErrorCode::missing)
      return "certbot is not installed; install the package certbot";
    return to_string(end.error());
  }
  if (end->ok()) return {};
  if (end->timed_out) return "certbot took longer than ten minutes";
  const std::string path = logs_of(places) + "/letsencrypt.log";
  std::error_code wrong;
  const bool is_new = fs::last_write_time(path, wrong) >= begun && !wrong;
  const auto log = is_new ? read_text_file(path, kLogBytesMax).value_or("") : std::string();
  const std::string reason = reason_of(end->output, log);
  return reason.empty() ? "certbot failed without a reason" : reason;
}

/// The same, again at once where that helps: certbot repeats a request with a refused nonce only
/// once, and a busy CA refuses several.
std::string get_certificate(const Policy& policy, const Site& site,
                            const tls::InstallPlaces& places) {
  std::string reason;
  for (int attempt = 0; attempt < 3; ++attempt) {
    reason = run_certbot(policy, site, places);
    if (!reason.starts_with("badNonce")) break;
  }
  return reason;
}

/// Tells whom the policy names. Gives what went wrong with that.
std::vector<std::string> tell(const Tls& tls, const RenewalFailure& failure) {
  std::vector<std::string> problems;
  const auto check = [&problems](std::string_view how, const Result<ProcessEnd>& end) {
    if (!end) {
      problems.push_back(fmt::format("notification by {}: {}", how, to_string(end.error())));
    } else if (!end->ok()) {
      problems.push_back(fmt::format("notification by {} failed with exit code {}: {}", how,
                                     end->exit_status, printable(end->output, 200)));
    }
  };
  if (!tls.notify_command.empty()) {
    std::vector<std::string> words = tls.notify_command;
    words.insert(words.end(), {failure.site, failure.reason});
    check("notify_command", run_process(words, kNotifyBounds));
  }
  if (!tls.notify_mail.empty()) {
    const std::string text = fmt::format(
        "To: {0}\nSubject: certificate of {1} not renewed\nAuto-Submitted: auto-generated\n\n"
        "The certificate of {1} could not be renewed{2}\n\n    {3}\n\n"
        "The old certificate stays in use. The next attempt follows by itself.\n"
        "`cloudron-fw certs` on the server shows all certificates.\n",
        tls.notify_mail, failure.site, failure.alarming ? ". There is none, or it ends soon:" : ":",
        failure.reason);
    check("mail", run_process({"sendmail", "-i", "--", tls.notify_mail}, kNotifyBounds, text));
  }
  return problems;
}

/// nginx's workers, which are not root, read answers to challenges there.
Result<void> make_webroot(const std::string& folder) {
  std::error_code wrong;
  fs::create_directories(folder, wrong);
  if (!wrong && ::chmod(folder.c_str(), 0755) == 0) return {};
  return fail_errno(ErrorCode::io, "cannot make " + folder, wrong ? wrong.value() : errno);
}

/// Attempts of one run, in the report and in what is kept.
class Attempts {
 public:
  Attempts(const CertificatesRequest& request, RenewalReport& report)
      : request_(request), report_(report), records_(read_records(request.kept, request.now)) {}

  void succeeded(const std::string& site) {
    records_[site] = {0, request_.now, {}, {}};
    keep();
  }
  /// nginx is to be told of something new, whatever becomes of this run.
  void begin() {
    records_.try_emplace(kNginx);
    keep();
  }
  void used() {
    records_.erase(kNginx);
    keep();
  }
  void failed(const std::string& site, const std::string& reason, bool alarming) {
    RenewalRecord& record = records_[site];
    record = {record.failures + 1, request_.now, reason, record.told};
    RenewalFailure failure{site, reason, alarming, is_to_be_told(record, request_.now)};
    if (failure.told) {
      const Tls& tls = request_.policy.tls;
      const std::vector<std::string> problems = tell(tls, failure);
      report_.warnings.insert(report_.warnings.end(), problems.begin(), problems.end());
      const std::size_t ways =
          (tls.notify_command.empty() ? 0u : 1u) + (tls.notify_mail.empty() ? 0u : 1u);
      // Whom nothing reached is told at the next attempt.
      if (ways == 0 || problems.size() < ways) record.told = request_.now;
    }
    report_.failed.push_back(std::move(failure));
    keep();
  }
  bool is_open(const std::string& site) const { return records_.contains(site); }

 private:
  void keep() const {
    if (request_.keep) request_.keep(to_text(records_));
  }

  const CertificatesRequest& request_;
  RenewalReport& report_;
  RenewalRecords records_;
};

/// Has nginx use what was renewed. Where it refuses, each run tries again.
void have_it_used(const CertificatesRequest& request, RenewalReport& report, Attempts& attempts) {
  if (request.policy.tls.proxy == ReverseProxy::none) return attempts.used();
  if (report.renewed.empty() && !attempts.is_open(kNginx)) return;
  const auto installed = tls::install_sites(request.policy, request.places, tls::Reload::always);
  if (!installed)
    return attempts.failed(kNginx, "nginx does not use new certificates: " + installed.error().what,
                           true);
  attempts.used();
  for (const std::string& warning : installed->warnings) report.warnings.push_back(warning);
}

/// What must be there for challenges to be answered. Where nginx refuses it, what it uses now may
/// still answer them.
Result<void> prepare(const CertificatesRequest& request, RenewalReport& report) {
  if (auto made = make_webroot(request.places.webroot); !made) return made;
  if (request.policy.tls.proxy == ReverseProxy::none) return {};
  if (const auto installed = tls::install_sites(request.policy, request.places); !installed)
    report.warnings.push_back(to_string(installed.error()));
  return {};
}

}  // namespace

Result<RenewalReport> renew(const CertificatesRequest& asked, bool everything) {
  RenewalReport report;
  const bool has_nginx = asked.policy.tls.proxy != ReverseProxy::none;
  const auto installed = has_nginx ? tls::installed_sites(asked.places.nginx) : std::nullopt;
  if (has_nginx && !installed) {
    report.installed = false;
    return report;
  }
  const CertificatesRequest request{asked.policy, installed ? *installed : asked.places,
                                    asked.kept,   asked.now,
                                    asked.spread, asked.keep};
  const auto found = certificates(request);
  if (!found) return std::unexpected(found.error());
  Attempts attempts(request, report);
  Result<void> prepared;
  bool is_first = true;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const SiteCertificate& now = (*found)[i];
    if (!now.next || !(everything || *now.next <= request.now)) continue;
    if (std::exchange(is_first, false)) {
      prepared = prepare(request, report);
      attempts.begin();
    }
    const std::string reason =
        prepared ? get_certificate(request.policy, request.policy.sites[i], request.places)
                 : to_string(prepared.error());
    if (reason.empty()) {
      attempts.succeeded(now.site);
      report.renewed.push_back(now.site);
    } else {
      attempts.failed(now.site, reason, now.alarming || !now.problem.empty());
    }
  }
  have_it_used(request, report, attempts);
  return report;
}

}  // namespace fw::certs
