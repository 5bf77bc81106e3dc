// Puts files where nginx looks, and has it use them: all of them, or none.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/process.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/installed.hpp"
#include "fw/plugins/tls/nginx.hpp"
#include "fw/plugins/tls/nginx_limiter.hpp"
#include "fw/plugins/tls/ocsp.hpp"
#include "fw/plugins/tls/plugin.hpp"
#include "fw/plugins/tls/words.hpp"

namespace fw::tls {
namespace {

namespace fs = std::filesystem;

constexpr ProcessBounds kNginxBounds{std::chrono::seconds{30}, 16 * 1024};
constexpr ProcessBounds kWholeConfigBounds{std::chrono::seconds{30}, 64u << 20};
constexpr std::size_t kEntryBytesMax = 64u << 10;
constexpr std::size_t kConfigBytesMax = 4u << 20;  // of nginx.conf
constexpr std::string_view kCertificatesAre = "\n# certificates: ";
constexpr std::string_view kChallengesAre = "\n# challenges: ";
constexpr std::string_view kLimiterIs = "\n# limiter: ";

/// What nginx says of its configuration, where it refuses it; "" where it accepts it.
Result<std::string> nginx_complaint(const std::string& nginx) {
  const auto end = run_process({"nginx", "-t", "-q", "-c", nginx + "/nginx.conf"}, kNginxBounds);
  if (!end) return std::unexpected(end.error());
  if (end->ok()) return std::string();
  std::string said = printable(end->output.substr(0, end->output.find('\n')), 400);
  if (said.contains("duplicate default server"))
    said += "; remove the other default server, e.g. " + nginx + "/sites-enabled/default";
  return said.empty() ? "no reason was given" : said;
}

/// What nginx accepts and does not use is a warning: a name that another file has, too, and files
/// that nothing includes.
Result<void> warn_of_unused(const Places& places, InstallReport& report) {
  const auto end =
      run_process({"nginx", "-T", "-c", places.nginx + "/nginx.conf"}, kWholeConfigBounds);
  if (!end) return std::unexpected(end.error());
  if (!end->output_cut && !end->output.contains("# configuration file " + places.entry.string()))
    report.warnings.push_back(
        fmt::format("nginx does not use the sites; add \"include {}/*.conf;\" to the block http of "
                    "{}/nginx.conf",
                    places.entry.parent_path().string(), places.nginx));
  std::istringstream lines(end->output);
  for (std::string line; std::getline(lines, line) && line.starts_with("nginx: ");) {
    if (line.contains("conflicting server name"))
      report.warnings.push_back("another file has a site of this name: " + printable(line, 400));
  }
  return {};
}

Result<void> nginx_accepts(const Places& places, InstallReport& report) {
  const auto said = nginx_complaint(places.nginx);
  if (!said) return std::unexpected(said.error());
  if (said->empty()) return warn_of_unused(places, report);
  return fail(ErrorCode::io,
              "nginx refuses the configuration, and the former one is back: " + *said);
}

/// What the sites' certificates are like: there, and with a server of OCSP? One that certbot has
/// not got yet is no error; the admin's own must be there, or a site that works would be taken
/// down.
Result<void> look_at_certificates(const Policy& policy, NginxHost& host) {
  for (const Site& site : policy.sites) {
    const CertificateFiles files = certificate_files(site, host.letsencrypt);
    const auto pem = read_text_file(files.certificate, kCertificateBytesMax);
    if (!pem || ::access(files.key.c_str(), R_OK) != 0) {
      if (site.certificate == CertificateFrom::files)
        return fail(ErrorCode::policy,
                    fmt::format("{}:{}: site {}: cannot read {}; name its certificate and its key",
                                site.where.file, site.where.line, quote(site.name),
                                pem ? files.key : files.certificate));
      host.without_certificate.insert(site.name);
    } else if (names_ocsp(*pem)) {
      host.with_ocsp.insert(site.name);
    }
  }
  return {};
}

/// Replaces the files at once; put_back() undoes that.
class Replacement {
 public:
  explicit Replacement(const Places& places) : places_(places) {}

  Result<void> put(const Files& files, const Files& before) {
    remove_tree(places_.fresh);
    for (const auto& [name, text] : files.texts) {
      if (auto written = write_text(places_.fresh / name, text); !written) return written;
    }
    replaces_ = fs::exists(places_.files);
    if (auto swapped = swap_in(places_.fresh, places_.files); !swapped) return swapped;
    placed_ = true;
    entry_before_ = before.entry;
    return write_text(places_.entry, *files.entry);
  }

  void put_back() {
    if (!placed_) return remove_tree(places_.fresh);
    if (entry_before_) {
      (void)write_text(places_.entry, *entry_before_);
    } else {
      remove_tree(places_.entry);
    }
    if (replaces_) (void)swap_in(places_.fresh, places_.files);
    remove_tree(replaces_ ? places_.fresh : places_.files);
  }

  void keep() { remove_tree(places_.fresh); }

 private:
  const Places& places_;
  std::optional<std::string> entry_before_{};
  bool replaces_ = false;
  bool placed_ = false;
};

/// Tells a running nginx. That none runs is no error: it will read the files when it starts.
Result<void> reload(const std::string& nginx, InstallReport& report) {
  const auto end =
      run_process({"nginx", "-s", "reload", "-c", nginx + "/nginx.conf"}, kNginxBounds);
  if (!end) return std::unexpected(end.error());
  if (!end->ok())
    report.warnings.push_back("nginx does not run; it will use the files when it starts");
  return {};
}

/// The user that nginx's workers run as, by its configuration.
std::string nginx_user(const std::string& nginx) {
  const auto text = read_text_file(nginx + "/nginx.conf", kConfigBytesMax);
  std::istringstream lines(text.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string directive, name;
    if (words >> directive >> name && directive == "user") return name.substr(0, name.find(';'));
  }
  return "nobody";
}

/// Is a user in the group, by the system's lists?
bool is_member(const std::string& user, ::gid_t group) {
  std::array<char, 16'384> room{};
  ::passwd entry{};
  ::passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, room.data(), room.size(), &found) != 0 || found == nullptr)
    return false;
  std::array<::gid_t, 256> groups{};
  int count = static_cast<int>(groups.size());
  if (::getgrouplist(user.c_str(), entry.pw_gid, groups.data(), &count) < 0) return false;
  return std::ranges::find(groups.begin(), groups.begin() + count, group) != groups.begin() + count;
}

/// Why nginx cannot ask the limiter's service, with the remedy; "" when nothing speaks against it.
std::string why_unreachable(const std::string& socket, const std::string& user) {
  struct ::stat status {};
  if (::stat(socket.c_str(), &status) != 0)
    return fmt::format(
        "the limiter's service does not run: there is no {} (systemctl enable --now "
        "cloudron-fw-services)",
        socket);
  if (user == "root" || is_member(user, status.st_gid)) return {};
  return fmt::format(
      "nginx's user {} may not ask the limiter's service; add it to the group of {} "
      "and restart nginx (adduser {} cloudron-fw-services)",
      quote(user), socket, printable(user));
}

/// Does the system's OpenSSL, which is nginx's too, have the hybrid key exchange?
bool has_mlkem() {
  const auto end = run_process({"openssl", "list", "-kem-algorithms"}, kNginxBounds);
  return end && end->ok() && end->output.contains("X25519MLKEM768");
}

/// What is installed with the places that it was made with: a later apply goes by them.
std::string entry_text(const Places& places, const InstallPlaces& made_with) {
  return fmt::format(
      "# The sites of cloudron-fw.{1}{2}{3}{4}{5}{6}\ninclude {0}/http.conf;\ninclude "
      "{0}/sites/*.conf;\n",
      places.files.string(), kCertificatesAre, made_with.letsencrypt, kChallengesAre,
      made_with.webroot, kLimiterIs, made_with.limiter_socket);
}

/// The rest of the line that begins so; "" where there is none that names a folder.
std::string folder_named(const std::string& text, std::string_view begin) {
  const std::size_t at = text.find(begin);
  if (at == text.npos) return {};
  const std::size_t from = at + begin.size();
  std::string folder = text.substr(from, text.find('\n', from) - from);
  return path_complaint(folder).empty() ? folder : "";
}

/// The policy's files, and which sites have no certificate.
struct Rendered {
  Files files;
  std::vector<std::string> warnings{};
};
Result<Rendered> rendered(const Policy& policy, const Places& places,
                          const InstallPlaces& made_with) {
  NginxHost host;
  host.letsencrypt = made_with.letsencrypt;
  host.webroot = made_with.webroot;
  host.limiter_socket = made_with.limiter_socket;
  if (has_mlkem()) host.groups.insert(host.groups.begin(), "X25519MLKEM768");
  if (auto looked = look_at_certificates(policy, host); !looked)
    return std::unexpected(looked.error());
  const auto files = nginx_files(policy, host);
  if (!files) return std::unexpected(files.error());
  Rendered out{{{}, entry_text(places, made_with)}};
  for (const TextFile& file : *files) out.files.texts[file.name] = file.text;
  for (const std::string& name : host.without_certificate)
    out.warnings.push_back(
        fmt::format("site {} has no certificate yet, so HTTPS does not answer; get it with "
                    "`cloudron-fw certs renew`",
                    quote(name)));
  return out;
}

/// One at a time changes nginx's folder: until the file is closed.
enum class WhenBusy : std::uint8_t { fail, wait };
Result<File> lock_folder(const Places& places, WhenBusy when) {
  File lock(::open(places.nginx.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return failed_on("open", places.nginx, errno);
  if (::flock(lock.fd(), when == WhenBusy::fail ? LOCK_EX | LOCK_NB : LOCK_EX) == 0) return lock;
  return fail(ErrorCode::io, "another cloudron-fw changes " + places.nginx + "; try again");
}

/// Did a run end between its change and nginx's reload? What nginx refuses goes: the former files
/// lie where the fresh ones did.
bool recover(const Places& places) {
  if (!fs::exists(places.untested)) return false;
  const auto said = nginx_complaint(places.nginx);
  if (said && !said->empty() && fs::exists(places.fresh)) (void)swap_in(places.fresh, places.files);
  return true;
}

/// Errors of what was rendered, or of what lies in its way: then the former files are back.
Result<InstallReport> install(const Places& places, const Files& files, Reload when) {
  const auto lock = lock_folder(places, WhenBusy::fail);
  if (!lock) return std::unexpected(lock.error());
  const bool interrupted = recover(places);
  const Files before = installed_files(places);
  InstallReport report{difference(places, before, files).changed, {}};
  if (report.changed.empty() && !interrupted) {
    if (when == Reload::when_changed) return report;
    if (auto told = reload(places.nginx, report); !told) return std::unexpected(told.error());
    return report;
  }

  if (auto marked = write_text(places.untested, ""); !marked)
    return std::unexpected(marked.error());
  Replacement replacement(places);
  auto done = replacement.put(files, before);
  if (done) done = nginx_accepts(places, report);
  if (!done) {
    replacement.put_back();
    if (!interrupted) remove_tree(places.untested);
    return std::unexpected(done.error());
  }
  replacement.keep();
  if (auto told = reload(places.nginx, report); !told) return std::unexpected(told.error());
  remove_tree(places.untested);
  return report;
}

void add_all(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

Result<InstallReport> install_sites(const Policy& policy, const InstallPlaces& made_with,
                                    Reload reload) {
  const Places places(made_with.nginx);
  const auto wanted = rendered(policy, places, made_with);
  if (!wanted) return std::unexpected(wanted.error());
  auto report = install(places, wanted->files, reload);
  if (!report) return report;
  add_all(report->warnings, wanted->warnings);
  if (questions_of(policy).any()) {
    std::string why = why_unreachable(made_with.limiter_socket, nginx_user(made_with.nginx));
    if (!why.empty()) report->warnings.push_back(std::move(why));
  }
  return report;
}

Result<InstallDifference> compare_sites(const Policy& policy, const InstallPlaces& made_with) {
  const Places places(made_with.nginx);
  const auto wanted = rendered(policy, places, made_with);
  if (!wanted) return std::unexpected(wanted.error());
  InstallDifference out = difference(places, installed_files(places), wanted->files);
  out.warnings = wanted->warnings;
  return out;
}

std::optional<InstallPlaces> installed_sites(const std::string& nginx) {
  const Places places(nginx);
  const auto entry = read_text_file(places.entry.string(), kEntryBytesMax);
  if (!entry || !fs::exists(places.files / "http.conf")) return {};
  InstallPlaces made_with{.nginx = nginx};
  const std::string certificates = folder_named(*entry, kCertificatesAre);
  const std::string challenges = folder_named(*entry, kChallengesAre);
  if (!certificates.empty()) made_with.letsencrypt = certificates;
  if (!challenges.empty()) made_with.webroot = challenges;
  const std::string limiter = folder_named(*entry, kLimiterIs);
  if (!limiter.empty()) made_with.limiter_socket = limiter;
  return made_with;
}

Result<void> keep_sites(const std::string& nginx, const std::string& trial) {
  const Places places(nginx);
  const auto lock = lock_folder(places, WhenBusy::fail);
  if (!lock) return std::unexpected(lock.error());
  return keep_files(places, trial);
}

std::optional<std::string> kept_sites(const std::string& nginx) {
  const auto trial = read_text_file((Places(nginx).kept / "trial").string(), kEntryBytesMax);
  if (!trial) return {};
  return trial->substr(0, trial->find('\n'));
}

Result<void> forget_kept_sites(const std::string& nginx) {
  const Places places(nginx);
  remove_tree(places.kept_fresh);
  std::error_code wrong;
  fs::rename(places.kept, places.kept_fresh, wrong);  // gone in one step
  if (wrong && wrong != std::errc::no_such_file_or_directory)
    return failed_on("remove", places.kept, wrong.value());
  remove_tree(places.kept_fresh);
  return {};
}

Result<InstallReport> bring_back_sites(const std::string& nginx) {
  const Places places(nginx);
  const auto lock = lock_folder(places, WhenBusy::wait);
  if (!lock) return std::unexpected(lock.error());
  const Files before = installed_files(places);
  if (auto put = put_kept_files(places); !put) return std::unexpected(put.error());
  InstallReport report{difference(places, before, installed_files(places)).changed, {}};
  // Files that nginx had accepted stay, whatever else it refuses now; what it runs, it keeps.
  const auto said = nginx_complaint(nginx);
  if (!said || !said->empty()) {
    report.warnings.push_back(
        "nginx was not reloaded: " +
        (said ? "it refuses its configuration: " + *said : to_string(said.error())));
  } else if (auto told = reload(nginx, report); !told) {
    report.warnings.push_back("nginx was not reloaded: " + to_string(told.error()));
  }
  if (auto gone = forget_kept_sites(nginx); !gone) return std::unexpected(gone.error());
  return report;
}

}  // namespace fw::tls
