// cloudron-fw certs
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/certs.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "fw/base/file.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/state_file.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/words.hpp"
#include "fw/service/messages.hpp"
#include "fw/wire/rfc3339.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using fw::certs::SiteCertificate;

constexpr const char* kRecordsFile = "certificates";
constexpr std::size_t kRecordsBytesMax = 4u << 20;

struct CertsOptions {
  fw::tls::InstallPlaces places{};
  bool all = false;
};

std::chrono::sys_seconds now() {
  return std::chrono::floor<std::chrono::seconds>(fw::wall_clock());
}

/// 0 to 1, the same at each run on this host, so that hosts do not all ask their CA at one moment.
double spread() {
  std::uint32_t hash = 2'166'136'261u;  // FNV-1a
  for (const char c : fw::read_kernel_file("/etc/machine-id"))
    hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619u;
  return static_cast<double>(hash % 1024) / 1023;
}

std::string kept(const Context& context) {
  return fw::read_state_file(context.state_dir, kRecordsFile, kRecordsBytesMax).value_or("");
}

/// "58d 3h"
std::string left_text(std::chrono::seconds left) {
  return left.count() > 0 ? fw::ops::rough_text(left) : "ended";
}

std::string state_text(const SiteCertificate& one, std::chrono::sys_seconds at) {
  if (!one.problem.empty()) return one.problem;
  if (one.record.failures > 0) return fmt::format("renewal failed {} times", one.record.failures);
  if (!one.next) return "renewed by you";
  return *one.next <= at ? "renewal is due" : "renewed from " + time_text(*one.next).substr(0, 10);
}

bool needs_attention(const SiteCertificate& one) {
  return !one.problem.empty() || one.alarming || one.record.failures > 0;
}

json::object json_of(const SiteCertificate& one, std::chrono::sys_seconds at) {
  json::object object{
      {"site", one.site},
      {"from", one.from == fw::CertificateFrom::certbot ? "certbot" : "files"},
      {"file", one.file},
      {"problem", one.problem.empty() ? json::value() : json::value(one.problem)},
      {"alarm", one.alarming},
      {"renewal_at", one.next && one.next->time_since_epoch().count() > 0
                         ? json::value(fw::wire::rfc3339(*one.next))
                         : json::value()},
      {"due", one.next && *one.next <= at},
      {"failures", one.record.failures},
      {"reason", one.record.reason.empty() ? json::value() : json::value(one.record.reason)}};
  if (one.facts) {
    object["names"] = json::value_from(one.facts->names);
    object["issuer"] = one.facts->issuer;
    object["key"] = one.facts->key_name;
    object["not_before"] = fw::wire::rfc3339(one.facts->not_before);
    object["not_after"] = fw::wire::rfc3339(one.facts->not_after);
  }
  return object;
}

/// Certificate Transparency: whoever asks a CA for a certificate publishes its names.
void print_published(const Context& context, const std::vector<SiteCertificate>& all) {
  std::vector<std::string> names;
  for (const SiteCertificate& one : all) {
    if (!one.facts || one.facts->self_signed) continue;
    for (const std::string& name : one.facts->names) {
      if (!name.starts_with('*')) names.push_back(name);
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  if (names.empty()) return;
  context.say("");
  context.say("Logs of certificates publish these names, for everybody to read:");
  for (const std::string& name : names) context.say("  " + name);
  context.say("A wildcard (name = \"*.example.org\") keeps the names of apps out of the logs.");
}

int run_list(const Context& context, const CertsOptions& options) {
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const auto at = now();
  const auto found =
      fw::certs::certificates({loaded->policy, options.places, kept(context), at, spread()});
  if (!found) return failed(context, found.error());
  const std::vector<SiteCertificate>& all = *found;
  const int exit = std::ranges::any_of(all, needs_attention) ? kPartly : kOk;
  if (context.json) {
    json::array sites;
    for (const SiteCertificate& one : all) sites.push_back(json_of(one, at));
    context.print(json::object{{"certificates", std::move(sites)}});
    return exit;
  }
  if (all.empty()) {
    context.say("The policy has no [[site]].");
    return exit;
  }
  using enum Table::Align;
  Table table({left, right, left, left, left});
  table.heading({"site", "left", "issuer", "key", "state"});
  for (const SiteCertificate& one : all) {
    table.row({one.site, one.facts ? left_text(one.facts->not_after - at) : "-",
               one.facts ? one.facts->issuer : "-", one.facts ? one.facts->key_name : "-",
               state_text(one, at)});
  }
  table.print(context);
  for (const SiteCertificate& one : all) {
    if (!one.record.reason.empty())
      context.say(fmt::format("\n{}: {}", one.site, one.record.reason));
  }
  print_published(context, all);
  return exit;
}

/// Below systemd failures go to the journal with their level, and to the terminal elsewhere. Both
/// are kept in the log of who did what.
void note(const Context& context, const fw::Policy& policy, const fw::certs::RenewalReport& done) {
  std::optional<fw::Messages> journal;
  if (fw::is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM")))
    journal = fw::Messages("cloudron-fw");
  const auto env = context.environment();
  for (const std::string& site : done.renewed)
    fw::ops::record(env, &policy, "certificate", fmt::format("certificate of {} renewed", site));
  for (const auto& failure : done.failed) {
    const std::string what =
        failure.site == "nginx"
            ? failure.reason
            : fmt::format("certificate of {} not renewed: {}", failure.site, failure.reason);
    if (journal) {
      journal->send(failure.alarming ? fw::Level::alert : fw::Level::error, what);
    } else {
      context.error(what);
    }
    if (failure.told) fw::ops::record(env, &policy, "certificate", what);
  }
}

int run_renew(const Context& context, const CertsOptions& options) {
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const auto lock = fw::StateLock::try_take(context.state_dir, "certificates.lock");
  if (!lock) return failed(context, lock.error());
  if (!*lock) {
    context.error("another `certs renew` is running; wait for its end");
    return kError;
  }
  const auto working = context.environment().working("renewing certificates");
  const fw::certs::CertificatesRequest request{loaded->policy,
                                               options.places,
                                               kept(context),
                                               now(),
                                               spread(),
                                               [&context](const std::string& records) {
                                                 const auto written = fw::write_state_file(
                                                     context.state_dir, kRecordsFile, records);
                                                 if (!written)
                                                   context.warn(to_string(written.error()));
                                               }};
  const auto done = fw::certs::renew(request, options.all);
  if (!done) return failed(context, done.error());
  note(context, loaded->policy, *done);
  for (const std::string& warning : done->warnings) context.warn(warning);
  const int exit = done->failed.empty() ? kOk : kPartly;
  if (context.json) {
    json::array failed;
    for (const auto& failure : done->failed)
      failed.push_back(json::object{
          {"site", failure.site}, {"reason", failure.reason}, {"alarm", failure.alarming}});
    context.print(json::object{{"installed", done->installed},
                               {"renewed", json::value_from(done->renewed)},
                               {"failed", std::move(failed)},
                               {"warnings", json::value_from(done->warnings)}});
    return exit;
  }
  for (const std::string& site : done->renewed) context.say("renewed " + site);
  if (!done->installed) {
    if (!loaded->policy.sites.empty())
      context.say("The sites are not installed; run: cloudron-fw render nginx --install");
  } else if (done->renewed.empty() && done->failed.empty()) {
    context.say("No certificate is due.");
  }
  return exit;
}

void add_places(CLI::App& command, CertsOptions& options) {
  command.add_option("--letsencrypt", options.places.letsencrypt, "certbot's folder")
      ->type_name("DIR")
      ->capture_default_str();
}

}  // namespace

void add_certs(CLI::App& program, Context& context, int& exit) {
  const auto options = std::make_shared<CertsOptions>();
  CLI::App* certs = program.add_subcommand(
      "certs",
      "Show the certificates of the sites: how long they are valid, when they are renewed, and "
      "which names they publish. Exits with 3 if one needs attention.");
  certs->fallthrough();
  add_places(*certs, *options);
  CLI::App* renew = certs->add_subcommand(
      "renew",
      "Renew the certificates that are due with certbot, and reload nginx once. A site that was "
      "never installed is not touched; one whose "
      "renewal fails keeps its certificate; [tls] notify_mail and notify_command get the reason. "
      "The timer cloudron-fw-certs.timer runs this. Exits with 3 if one failed.");
  add_places(*renew, *options);
  renew->add_flag("--all", options->all, "Renew those that are not due, too");
  renew->add_option("--nginx", options->places.nginx, "nginx's folder")
      ->type_name("DIR")
      ->capture_default_str();
  renew
      ->add_option("--webroot", options->places.webroot,
                   "Folder with the answers to a CA's challenges")
      ->type_name("DIR")
      ->capture_default_str();
  renew->callback([&context, &exit, options] { exit = run_renew(context, *options); });
  certs->callback([&context, &exit, options, certs] {
    if (certs->get_subcommands().empty()) exit = run_list(context, *options);
  });
}

}  // namespace cli
