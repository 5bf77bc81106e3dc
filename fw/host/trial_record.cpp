// A policy on trial.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/trial_record.hpp"

#include <charconv>
#include <ctime>
#include <fstream>
#include <map>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/host/state_file.hpp"
#include "fw/lists/address_set.hpp"

namespace fw {
namespace {

using std::chrono::milliseconds;

constexpr const char* kPending = "pending";
constexpr const char* kRefused = "refused";
constexpr std::size_t kPendingMax = kPolicyBytesMax + (64u << 10);  // the text, and a path
constexpr std::size_t kRefusedMax = 256;

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

WallTime wall(std::int64_t ms) { return WallTime{} + milliseconds{ms}; }

/// "key value" lines up to an empty one, which is taken off too.
std::map<std::string, std::string, std::less<>> take_header(std::string_view& text) {
  std::map<std::string, std::string, std::less<>> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) break;
    const auto space = std::min(line.find(' '), line.size());
    out.emplace(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
  }
  return out;
}

Digest digest_of(const std::string& text) { return digest_bytes({std::as_bytes(std::span(text))}); }

}  // namespace

Moment this_moment() {
  static const std::string boot = [] {
    std::string id;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
    return id;
  }();
  Moment now;
  now.boot = boot;
  timespec time{};
  (void)clock_gettime(CLOCK_BOOTTIME, &time);
  now.uptime = std::chrono::duration_cast<milliseconds>(std::chrono::seconds{time.tv_sec} +
                                                        std::chrono::nanoseconds{time.tv_nsec});
  return now;
}

bool is_due(const TrialRecord& record, const Moment& now) {
  return record.begin.boot != now.boot || now.uptime >= record.until;
}

milliseconds time_left(const TrialRecord& record, const Moment& now) {
  return is_due(record, now) ? milliseconds{0} : record.until - now.uptime;
}

std::string identity_of(const TrialRecord& record) {
  return fmt::format("{} {}", record.begin.boot, record.begin.uptime.count());
}

std::string name_of(const TrialRecord& record) {
  return record.text ? record.path : "the built-in default policy";
}

std::optional<TrialRecord> read_trial_record(const std::string& state_dir) {
  const auto whole = read_state_file(state_dir, kPending, kPendingMax);
  if (!whole) return {};
  std::string_view rest = *whole;
  auto header = take_header(rest);
  const auto begin = number(header["begin"]);
  const auto until = number(header["until"]);
  const auto until_wall = number(header["until-wall"]);
  if (!begin || !until || !until_wall) return {};
  TrialRecord out;
  out.begin = {header["boot"], milliseconds{*begin}};
  out.until = milliseconds{*until};
  out.until_wall = wall(*until_wall);
  out.phase =
      header["phase"] == "waiting" ? TrialRecord::Phase::waiting : TrialRecord::Phase::begun;
  out.before =
      header["before"] == "nothing" ? TrialRecord::Before::nothing : TrialRecord::Before::policy;
  out.sites = header["sites"] == "yes";
  out.path = header["path"];
  if (header["policy"] == "file") out.text = std::string(rest);
  return out;
}

Result<void> save_trial_record(const std::string& state_dir, const TrialRecord& record) {
  const std::string header = fmt::format(
      "boot {}\nbegin {}\nuntil {}\nuntil-wall {}\nphase {}\nbefore {}\nsites {}\npath {}\n"
      "policy {}\n\n",
      record.begin.boot, record.begin.uptime.count(), record.until.count(),
      ms_of(record.until_wall), record.phase == TrialRecord::Phase::waiting ? "waiting" : "begun",
      record.before == TrialRecord::Before::nothing ? "nothing" : "policy",
      record.sites ? "yes" : "no", record.path, record.text ? "file" : "built-in");
  return write_state_file(state_dir, kPending, header + record.text.value_or(""));
}

Result<void> forget_trial_record(const std::string& state_dir) {
  return remove_state_file(state_dir, kPending);
}

Result<void> refuse_policy(const std::string& state_dir, const TrialRecord& record, WallTime now) {
  if (!record.text) return {};  // without a file a boot goes by what was last applied
  return write_state_file(
      state_dir, kRefused,
      fmt::format("digest {}\nat {}\n", to_string(digest_of(*record.text)), ms_of(now)));
}

Result<void> forget_refused(const std::string& state_dir) {
  return remove_state_file(state_dir, kRefused);
}

std::optional<WallTime> refused_at(const std::string& state_dir, const std::string& text,
                                   const Moment& now) {
  const auto record = read_trial_record(state_dir);
  if (record && record->text == text && is_due(*record, now)) return record->until_wall;
  const auto note = read_state_file(state_dir, kRefused, kRefusedMax);
  if (!note) return {};
  std::string_view rest = *note;
  auto header = take_header(rest);
  const auto at = number(header["at"]);
  if (!at || header["digest"] != to_string(digest_of(text))) return {};
  return wall(*at);
}

}  // namespace fw
