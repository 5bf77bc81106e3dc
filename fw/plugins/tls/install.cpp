// Puts files where nginx looks, and has it use them: all of them, or none.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <expected>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string>
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
#include "fw/plugins/tls/nginx.hpp"
#include "fw/plugins/tls/nginx_limiter.hpp"
#include "fw/plugins/tls/ocsp.hpp"
#include "fw/plugins/tls/plugin.hpp"

namespace fw::tls {
namespace {

namespace fs = std::filesystem;

constexpr ProcessBounds kNginxBounds{std::chrono::seconds{30}, 16 * 1024};
constexpr std::size_t kFileBytesMax = 4u << 20;

using Texts = std::map<std::string, std::string>;  // by the name below the folder

std::unexpected<Error> failed_on(std::string_view what, const fs::path& path, int error) {
  return fail_errno(ErrorCode::io, fmt::format("cannot {} {}", what, path.string()), error);
}

Result<void> write_text(const fs::path& path, const std::string& text) {
  std::error_code wrong;
  fs::create_directories(path.parent_path(), wrong);
  if (wrong) return failed_on("make", path.parent_path(), wrong.value());
  const File folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return failed_on("open", path.parent_path(), errno);
  const auto bytes = std::as_bytes(std::span(text));
  if (auto written = replace_file(folder, path.filename().string(), {bytes}); !written)
    return written;
  // Readable by whoever may look at nginx's other files: it holds no secret.
  if (::fchmodat(folder.fd(), path.filename().c_str(), 0644, 0) != 0)
    return failed_on("change", path, errno);
  return sync_folder(folder);
}

/// What the folder holds now; nothing where there is no folder.
Texts texts_in(const fs::path& folder) {
  Texts texts;
  std::error_code wrong;
  for (auto it = fs::recursive_directory_iterator(folder, wrong);
       !wrong && it != fs::recursive_directory_iterator(); it.increment(wrong)) {
    if (!it->is_regular_file(wrong)) continue;
    const auto text = read_text_file(it->path().string(), kFileBytesMax);
    texts[fs::relative(it->path(), folder, wrong).string()] = text.value_or("");
  }
  return texts;
}

/// Swaps two folders in one step, or moves the first where there is no second.
Result<void> swap_in(const fs::path& fresh, const fs::path& place) {
  const unsigned how = fs::exists(place) ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), how) == 0) return {};
  return failed_on("replace", place, errno);
}

/// What nginx says of its configuration, where it refuses it.
Result<void> nginx_accepts(const std::string& nginx) {
  const auto end = run_process({"nginx", "-t", "-q", "-c", nginx + "/nginx.conf"}, kNginxBounds);
  if (!end) return std::unexpected(end.error());
  if (end->ok()) return {};
  std::string said = printable(end->output.substr(0, end->output.find('\n')), 400);
  if (said.contains("duplicate default server"))
    said += "; remove the other default server, e.g. " + nginx + "/sites-enabled/default";
  return fail(ErrorCode::io,
              "nginx refuses the configuration, and the former one is back: " + said);
}

/// What the sites' certificates are like: there, and with a server of OCSP?
void look_at_certificates(const Policy& policy, NginxHost& host) {
  for (const Site& site : policy.sites) {
    const CertificateFiles files = certificate_files(site, host.letsencrypt);
    const auto pem = read_text_file(files.certificate, kCertificateBytesMax);
    if (!pem || ::access(files.key.c_str(), R_OK) != 0) {
      host.without_certificate.insert(site.name);
    } else if (names_ocsp(*pem)) {
      host.with_ocsp.insert(site.name);
    }
  }
}

/// Does the system's OpenSSL, which is nginx's too, have the hybrid key exchange?
bool has_mlkem() {
  const auto end = run_process({"openssl", "list", "-kem-algorithms"}, kNginxBounds);
  return end && end->ok() && end->output.contains("X25519MLKEM768");
}

std::vector<std::string> differences(const Texts& before, const Texts& after,
                                     const fs::path& place) {
  std::vector<std::string> changed;
  for (const auto& [name, text] : after) {
    const auto old = before.find(name);
    if (old == before.end() || old->second != text) changed.push_back((place / name).string());
  }
  for (const auto& [name, text] : before) {
    if (!after.contains(name)) changed.push_back((place / name).string());
  }
  std::ranges::sort(changed);
  return changed;
}

/// Where the files of one nginx lie.
struct Places {
  explicit Places(const std::string& nginx_folder) : nginx(nginx_folder) {}

  std::string nginx;
  fs::path files = fs::path(nginx) / "cloudron-fw";
  fs::path fresh = fs::path(nginx) / ".cloudron-fw.new";
  fs::path entry = fs::path(nginx) / "conf.d" / "cloudron-fw.conf";
};

/// Replaces the files at once; put_back() undoes that.
class Replacement {
 public:
  explicit Replacement(const Places& places) : places_(places) {}

  Result<void> put(const Texts& texts, const std::string& entry) {
    remove(places_.fresh);
    for (const auto& [name, text] : texts) {
      if (auto written = write_text(places_.fresh / name, text); !written) return written;
    }
    replaces_ = fs::exists(places_.files);
    if (auto swapped = swap_in(places_.fresh, places_.files); !swapped) return swapped;
    placed_ = true;
    entry_before_ = read_text_file(places_.entry.string(), kFileBytesMax);
    return write_text(places_.entry, entry);
  }

  void put_back() {
    if (!placed_) return remove(places_.fresh);
    if (entry_before_) {
      (void)write_text(places_.entry, *entry_before_);
    } else {
      remove(places_.entry);
    }
    if (replaces_) (void)swap_in(places_.fresh, places_.files);
    remove(replaces_ ? places_.fresh : places_.files);
  }

  void keep() { remove(places_.fresh); }

 private:
  static void remove(const fs::path& path) {
    std::error_code wrong;
    fs::remove_all(path, wrong);
  }

  const Places& places_;
  std::expected<std::string, int> entry_before_ = std::unexpected(0);
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
  const auto text = read_text_file(nginx + "/nginx.conf", kFileBytesMax);
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

/// Errors of what was rendered, or of what lies in its way: then the former files are back.
Result<InstallReport> install(const Places& places, const Texts& texts, Reload when) {
  const File lock(::open(places.nginx.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return failed_on("open", places.nginx, errno);
  if (::flock(lock.fd(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::io, "another cloudron-fw changes " + places.nginx + "; try again");

  const std::string entry = fmt::format(
      "# The sites of cloudron-fw.\ninclude {0}/http.conf;\ninclude {0}/sites/*.conf;\n",
      places.files.string());
  InstallReport report{differences(texts_in(places.files), texts, places.files), {}};
  if (read_text_file(places.entry.string(), kFileBytesMax) != entry)
    report.changed.push_back(places.entry.string());
  if (report.changed.empty()) {
    if (when == Reload::when_changed) return report;
    if (auto told = reload(places.nginx, report); !told) return std::unexpected(told.error());
    return report;
  }

  Replacement replacement(places);
  auto done = replacement.put(texts, entry);
  if (done) done = nginx_accepts(places.nginx);
  if (!done) {
    replacement.put_back();
    return std::unexpected(done.error());
  }
  replacement.keep();
  if (auto told = reload(places.nginx, report); !told) return std::unexpected(told.error());
  return report;
}

}  // namespace

Result<InstallReport> install_sites(const Policy& policy, const InstallPlaces& places,
                                    Reload reload) {
  NginxHost host;
  host.letsencrypt = places.letsencrypt;
  host.webroot = places.webroot;
  host.limiter_socket = places.limiter_socket;
  if (has_mlkem()) host.groups.insert(host.groups.begin(), "X25519MLKEM768");
  look_at_certificates(policy, host);
  const auto files = nginx_files(policy, host);
  if (!files) return std::unexpected(files.error());
  Texts texts;
  for (const TextFile& file : *files) texts[file.name] = file.text;
  auto report = install(Places(places.nginx), texts, reload);
  if (!report) return report;
  for (const std::string& name : host.without_certificate)
    report->warnings.push_back(
        fmt::format("site {} has no certificate yet; it answers by HTTP only until `cloudron-fw "
                    "render nginx --install` finds one",
                    quote(name)));
  if (questions_of(policy).any()) {
    std::string why = why_unreachable(places.limiter_socket, nginx_user(places.nginx));
    if (!why.empty()) report->warnings.push_back(std::move(why));
  }
  return report;
}

}  // namespace fw::tls
