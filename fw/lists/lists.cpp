// The combined content of a policy's lists, and the cache that makes that cheap.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/lists.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "fw/base/file.hpp"
#include "fw/lists/index.hpp"
#include "fw/lists/set_file.hpp"

namespace fw {

/// What a policy says about lists.
struct ListsRequest {
  struct Entry {
    std::string name;
    std::string path;  ///< absolute
    ListAction action = ListAction::block;
  };
  std::vector<Entry> lists;
  AddressSet trusted;
  ListsAsk ask;
  AddressSet spared;  ///< of that
  Digest spared_digest;
};

std::string list_path(const Policy& policy, const List& list) {
  const auto path = std::filesystem::path(policy.file).parent_path() / list.file;
  std::error_code error;  // only the working folder can be at fault: then the path stays relative
  const auto absolute = std::filesystem::absolute(path, error);
  return (error ? path : absolute).lexically_normal().string();
}

namespace {

constexpr const char* kIndexName = "index";
constexpr std::size_t kIndexBytesMax = 16u << 20;

using SharedSet = std::shared_ptr<const AddressSet>;

ListsRequest request_of(const Policy& policy, ListsAsk ask) {
  ListsRequest request;
  request.ask = std::move(ask);
  request.spared = set_of(request.ask.spared);
  request.spared_digest = digest(request.spared);
  for (const List& list : policy.lists) {
    request.lists.push_back({list.name, list_path(policy, list), list.action});
  }
  for (const auto& [range, where] : policy.trusted) {
    append(request.trusted, range);
  }
  normalize(request.trusted);
  return request;
}

Result<Stamp> stamp_at(const std::string& path) {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return fail_errno(ErrorCode::io, fmt::format("cannot read {}", path), errno);
  return stamp_of(status);
}

struct StampedText {
  ListText text;
  Stamp stamp;
};

/// Reads a list, with the stamp that stands for what was read. Files are stamped by a clock that
/// ticks in milliseconds: a file that changed within the current tick can change again and keep
/// its stamp, so it gets none, and is read again the next time.
Result<StampedText> read_stamped(const std::string& path, const SparedSpace& spared) {
  ::timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  const auto before = stamp_at(path);
  if (!before) return std::unexpected(before.error());
  auto text = read_list(path, spared);
  if (!text) return std::unexpected(text.error());
  const auto after = stamp_at(path);
  const bool settled = after && *after == *before &&
                       before->ctime_ns < std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  return StampedText{std::move(*text), settled ? *before : Stamp{}};
}

ListSize size_of(const AddressSet& set) {
  const auto count = [](const auto& spans, std::uint32_t& addresses, std::uint32_t& networks) {
    for (const auto& span : spans) ++(span.first == span.last ? addresses : networks);
  };
  ListSize size;
  count(set.v4, size.addresses4, size.networks4);
  count(set.v6, size.addresses6, size.networks6);
  return size;
}

ListReport report_of(const ListsRequest::Entry& list, const RememberedFile& file,
                     const std::string& unreadable) {
  ListReport report;
  report.name = list.name;
  report.file = list.path;
  report.action = list.action;
  report.digest = file.digest;
  report.entries = file.entries;
  report.wide = file.wide;
  if (list.action == ListAction::block) {
    report.left_count = file.left_count;
    report.left_out = file.left_out;
  }
  const std::string content =
      fmt::format("{} {}", file.entries, file.entries == 1 ? "entry" : "entries");
  if (!unreadable.empty()) {
    report.last_good = file.whole || file.bad_count > 0;
    report.problem = unreadable;
    report.problem += report.last_good
                          ? fmt::format("; its earlier content ({}) stays in force", content)
                          : "; the list is empty until it can be read";
  } else if (file.bad_count > 0) {
    report.bad_count = file.bad_count;
    report.bad = file.bad;
    report.last_good = file.whole;
    report.problem =
        file.bad_count == 1 ? "a bad line" : fmt::format("{} bad lines", file.bad_count);
    report.problem +=
        file.whole ? fmt::format("; its last good content ({}) stays in force", content)
                   : fmt::format("; it has no earlier content, so its good lines ({}) are in force",
                                 content);
  } else if (file.not_taken) {
    report.last_good = report.shrank = true;
    report.problem = fmt::format(
        "the file has only {} {}, less than half as many as before; the last good content ({}) "
        "stays "
        "in force; to accept the file: cloudron-fw apply --accept-lists",
        *file.not_taken, *file.not_taken == 1 ? "entry" : "entries", content);
  }
  return report;
}

}  // namespace

bool EffectiveLists::has_problems() const {
  return std::any_of(reports.begin(), reports.end(),
                     [](const ListReport& report) { return !report.problem.empty(); });
}

Digest EffectiveLists::content_of(std::string_view list) const {
  const auto report = std::ranges::find(reports, list, &ListReport::name);
  return report != reports.end() ? report->digest : Digest{};
}

struct Lists::State {
  explicit State(std::string state_dir) : folder(std::move(state_dir) + "/lists") {}

  EffectiveLists resolve();
  EffectiveLists remembered();
  Result<AddressSet> content(const Digest& digest);
  Result<void> save();

  ListsRequest request;

 private:
  std::optional<Index> read_index() const;
  bool stored(const Digest& digest) const;
  bool available(const Digest& digest) const;
  SharedSet load(const Digest& digest);
  SharedSet union_of(const std::set<Digest>& digests);
  Digest keep(const SharedSet& set);
  Result<void> refresh(const std::string& path, const RememberedFile& known, RememberedFile& file);
  /// Space that was spared when the effective sets were computed is good enough for who only
  /// repairs: this host may have another address by now, which is nobody's drift.
  enum class Spare { as_asked, as_before };
  bool combine(Spare spared);
  std::set<Digest> needed() const;
  void forget_others(const std::set<Digest>& wanted) const;

  std::string folder;
  std::optional<Index> index;         // as resolve() left it
  std::map<Digest, SharedSet> fresh;  // computed in this run, not yet saved
  std::set<Digest> lost;              // their files turned out to be damaged
};

std::optional<Index> Lists::State::read_index() const {
  const auto open = open_regular(fmt::format("{}/{}", folder, kIndexName));
  if (!open || static_cast<std::uint64_t>(open->status.st_size) > kIndexBytesMax) return {};
  std::string text(static_cast<std::size_t>(open->status.st_size), '\0');
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size || *size != text.size()) return {};
  return parse_index(text);
}

bool Lists::State::stored(const Digest& digest) const {
  return digest.zero() || (!lost.contains(digest) && has_set_file(folder, digest));
}

bool Lists::State::available(const Digest& digest) const {
  return fresh.contains(digest) || stored(digest);
}

/// Null when the content is lost, and then that is remembered.
SharedSet Lists::State::load(const Digest& digest) {
  if (digest.zero()) return std::make_shared<AddressSet>();
  if (const auto found = fresh.find(digest); found != fresh.end()) return found->second;
  if (!lost.contains(digest)) {
    if (auto set = read_set_file(folder, digest))
      return std::make_shared<AddressSet>(std::move(*set));
    lost.insert(digest);
  }
  return nullptr;
}

SharedSet Lists::State::union_of(const std::set<Digest>& digests) {
  SharedSet sum = std::make_shared<AddressSet>();
  for (const Digest& digest : digests) {
    const SharedSet set = load(digest);
    if (!set) return nullptr;
    sum = sum->empty() ? set : std::make_shared<AddressSet>(unite(*sum, *set));
  }
  return sum;
}

Digest Lists::State::keep(const SharedSet& set) {
  const Digest name = digest(*set);
  if (!available(name)) fresh.emplace(name, set);
  return name;
}

/// Brings what is known of one file up to date; an error is why it cannot be read, and then `file`
/// is what was known before.
Result<void> Lists::State::refresh(const std::string& path, const RememberedFile& known,
                                   RememberedFile& file) {
  const bool usable = available(known.digest);
  if (usable) file = known;
  const auto stamp = stamp_at(path);
  if (!stamp) return std::unexpected(stamp.error());
  const bool accept = request.ask.shrunk == Shrunk::accept;
  const bool settled = known.spared == request.spared_digest && !(known.not_taken && accept);
  if (usable && known.stamp == *stamp && settled) return {};
  auto read = read_stamped(path, request.ask.spared);
  if (!read) return std::unexpected(read.error());
  ListText& text = read->text;
  const bool shrank = file.whole && text.bad_count == 0 && 2 * text.entries < file.entries;
  file.not_taken = shrank && !accept ? std::optional(text.entries) : std::nullopt;
  file.spared = request.spared_digest;
  if (!file.not_taken && (text.bad_count == 0 || !file.whole)) {
    file.left_count = text.left_count;
    file.left_out = std::move(text.left_out);
    file.wide = std::move(text.wide);
    file.entries = text.entries;
    file.whole = text.bad_count == 0;
    file.digest = keep(std::make_shared<AddressSet>(std::move(text.set)));
  }
  file.stamp = read->stamp;
  file.bad_count = text.bad_count;
  file.bad = std::move(text.bad);
  return {};
}

/// Brings the effective sets up to date with the files. False: a set file turned out to be damaged,
/// and the files must be looked at again.
bool Lists::State::combine(Spare spared) {
  std::set<Digest> block;
  std::set<Digest> allow;
  for (const ListsRequest::Entry& list : request.lists) {
    const Digest& content = index->files[list.path].digest;
    if (list.action == ListAction::block) block.insert(content);
    if (list.action == ListAction::allow) allow.insert(content);
  }
  std::string inputs = "trusted " + to_string(digest(request.trusted));
  for (const Digest& digest : block) inputs += " block " + to_string(digest);
  for (const Digest& digest : allow) inputs += " allow " + to_string(digest);
  const std::string but_spared = inputs;
  if (!block.empty() && !request.spared.empty()) {
    inputs += " spared " + to_string(request.spared_digest);
  }
  const bool same =
      spared == Spare::as_before
          ? index->inputs == but_spared || index->inputs.starts_with(but_spared + " spared ")
          : index->inputs == inputs;
  if (same && available(index->block) && available(index->allow)) return true;

  SharedSet blocked = union_of(block);
  const SharedSet allowed = union_of(allow);
  if (!blocked || !allowed) return false;
  const AddressSet* const trusted = &request.trusted;
  for (const AddressSet* less : {allowed.get(), trusted, &std::as_const(request.spared)}) {
    if (!disjoint(*blocked, *less))
      blocked = std::make_shared<AddressSet>(subtract(*blocked, *less));
  }
  index->inputs = std::move(inputs);
  index->block = keep(blocked);
  index->block_size = size_of(*blocked);
  index->allow = keep(allowed);
  index->allow_size = size_of(*allowed);
  return true;
}

EffectiveLists Lists::State::resolve() {
  if (!index) index = read_index().value_or(Index{});
  std::map<std::string, std::string> unreadable;
  do {
    unreadable.clear();
    std::map<std::string, RememberedFile> files;
    for (const ListsRequest::Entry& list : request.lists) {
      const auto [file, first] = files.try_emplace(list.path);
      if (!first) continue;
      if (auto fresh_now = refresh(list.path, index->files[list.path], file->second); !fresh_now)
        unreadable[list.path] = to_string(fresh_now.error());
    }
    index->files = std::move(files);
  } while (!combine(Spare::as_asked));

  EffectiveLists effective{index->block, index->allow, {}, index->block_size, index->allow_size};
  for (const ListsRequest::Entry& list : request.lists)
    effective.reports.push_back(report_of(list, index->files[list.path], unreadable[list.path]));
  return effective;
}

EffectiveLists Lists::State::remembered() {
  if (!index) index = read_index().value_or(Index{});
  for (const ListsRequest::Entry& list : request.lists) {
    if (!index->files.contains(list.path)) return resolve();
  }
  if (!combine(Spare::as_before)) return resolve();
  EffectiveLists effective{index->block, index->allow, {}, index->block_size, index->allow_size};
  for (const ListsRequest::Entry& list : request.lists)
    effective.reports.push_back(report_of(list, index->files[list.path], {}));
  return effective;
}

Result<AddressSet> Lists::State::content(const Digest& digest) {
  if (digest.zero()) return AddressSet{};
  for (const bool again : {false, true}) {
    // Damage that shows only now: the lists themselves may still give the content.
    if (again && index) resolve();
    if (const auto found = fresh.find(digest); found != fresh.end()) return *found->second;
    if (lost.contains(digest)) continue;
    if (auto set = read_set_file(folder, digest)) return set;
    lost.insert(digest);
  }
  return fail(ErrorCode::io,
              fmt::format("the stored address set {} is missing", to_string(digest)));
}

/// All sets that the index names.
std::set<Digest> Lists::State::needed() const {
  std::set<Digest> wanted{index->block, index->allow};
  for (const auto& [path, file] : index->files) wanted.insert(file.digest);
  return wanted;
}

void Lists::State::forget_others(const std::set<Digest>& wanted) const {
  std::set<std::string> names{kIndexName};
  for (const Digest& digest : wanted) names.insert(set_file_name(digest));
  std::error_code error;
  std::vector<std::filesystem::path> others;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!names.contains(entry.path().filename().string())) others.push_back(entry.path());
  }
  for (const auto& path : others) std::filesystem::remove(path, error);
}

Result<void> Lists::State::save() {
  if (!index) return {};
  const std::set<Digest> wanted = needed();
  const bool complete =
      std::all_of(wanted.begin(), wanted.end(), [this](const Digest& d) { return stored(d); });
  if (complete && read_index().value_or(Index{}) == *index) return {};

  const auto opened = make_folder(folder);
  if (!opened) return std::unexpected(opened.error());
  if (::flock(opened->fd(), LOCK_EX) != 0)
    return fail_errno(ErrorCode::io, fmt::format("cannot lock {}", folder), errno);
  for (const auto& [digest, set] : fresh) {
    if (!wanted.contains(digest) || stored(digest)) continue;
    if (auto written = write_set_file(*opened, digest, *set); !written) return written;
  }
  const std::string text = to_text(*index);
  if (auto written = replace_file(*opened, kIndexName, {std::as_bytes(std::span(text))}); !written)
    return written;
  if (auto synced = sync_folder(*opened); !synced) return synced;
  forget_others(wanted);
  fresh.clear();
  lost.clear();
  return {};
}

Lists::Lists(std::string state_dir) : state_(std::make_unique<State>(std::move(state_dir))) {}
Lists::Lists(Lists&&) noexcept = default;
Lists& Lists::operator=(Lists&&) noexcept = default;
Lists::~Lists() = default;

EffectiveLists Lists::resolve(const Policy& policy, ListsAsk ask) {
  state_->request = request_of(policy, std::move(ask));
  return state_->resolve();
}

EffectiveLists Lists::remembered(const Policy& policy, ListsAsk ask) {
  state_->request = request_of(policy, std::move(ask));
  return state_->remembered();
}

Result<AddressSet> Lists::content(const Digest& digest) { return state_->content(digest); }

Result<void> Lists::save() { return state_->save(); }

}  // namespace fw
