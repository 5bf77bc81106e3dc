// The memory of the limiter's service, in a file.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/budgets.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/file.hpp"

namespace fw::services {
namespace {

constexpr std::size_t kHeadSize = 4096;  // a page: the tables begin at one

/// What the file begins with.
struct Head {
  std::array<char, 16> magic{'c', 'l', 'o', 'u', 'd', 'r', 'o', 'n',
                             '-', 'f', 'w', ' ', 'b', '0', '0', '1'};
  std::array<char, 40> boot{};
  std::uint64_t buckets = 0;  ///< bytes
  std::uint64_t events = 0;   ///< bytes

  bool operator==(const Head&) const = default;
};
static_assert(std::has_unique_object_representations_v<Head>);

struct Start {
  Head head;
  limiter::Secret secret;
};

Head head_of(const BudgetSizes& sizes) {
  Head head;
  const std::string boot = read_kernel_file("/proc/sys/kernel/random/boot_id");
  std::copy_n(boot.begin(), std::min(boot.size(), head.boot.size()), head.boot.begin());
  head.buckets = limiter::Table::bytes_of(sizes.buckets);
  head.events = limiter::Events::bytes_of(sizes.events);
  return head;
}

std::size_t size_of(const Head& head) { return kHeadSize + head.buckets + head.events; }

/// The file as an earlier process left it, with its secret; none if it is not of this kind.
File left_behind(const std::string& path, const Head& wanted, Start& start) {
  File file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct ::stat status {};
  if (!file || ::fstat(file.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if (status.st_uid != ::geteuid() || static_cast<std::size_t>(status.st_size) != size_of(wanted))
    return {};
  const auto read = ::pread(file.fd(), &start, sizeof start, 0);
  return read == sizeof start && start.head == wanted ? std::move(file) : File();
}

/// A new one in its place. All of its room is taken now: a page that cannot be had later would end
/// the process.
Result<File> made(const std::string& path, const Start& start) {
  const auto failed = [&path](int reason) {
    return fail_errno(ErrorCode::io, "cannot make the file of budgets " + path, reason);
  };
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  File file(::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return failed(errno);
  int error = ::posix_fallocate(file.fd(), 0, static_cast<off_t>(size_of(start.head)));
  if (error == 0 && ::pwrite(file.fd(), &start, sizeof start, 0) != sizeof start) error = errno;
  if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return file;
  ::unlink(fresh.c_str());
  return failed(error);
}

}  // namespace

Result<Budgets> Budgets::make(const BudgetSizes& sizes) {
  auto buckets = limiter::Table::make(sizes.buckets);
  if (!buckets) return std::unexpected(buckets.error());
  auto events = limiter::Events::make(sizes.events);
  if (!events) return std::unexpected(events.error());
  return Budgets{limiter::Secret::random(), std::move(*buckets), std::move(*events)};
}

Result<Budgets> Budgets::in(const std::string& dir, const BudgetSizes& sizes) {
  const std::string path = dir + "/budgets";
  const Head wanted = head_of(sizes);
  Start start;
  File file = left_behind(path, wanted, start);
  if (!file) {
    start = {wanted, limiter::Secret::random()};
    auto fresh = made(path, start);
    if (!fresh) return std::unexpected(fresh.error());
    file = std::move(*fresh);
  }
  auto buckets = limiter::Pages::map(file.fd(), kHeadSize, wanted.buckets);
  if (!buckets) return std::unexpected(buckets.error());
  auto events = limiter::Pages::map(file.fd(), kHeadSize + wanted.buckets, wanted.events);
  if (!events) return std::unexpected(events.error());
  return Budgets{start.secret, limiter::Table::in(std::move(*buckets)),
                 limiter::Events::in(std::move(*events))};
}

}  // namespace fw::services
