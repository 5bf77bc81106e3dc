// From the text of a policy file to a Policy, and to a problem when there is no such text.
#include "fw/policy/parse.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <expected>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/policy/tables.hpp"

namespace fw {
namespace {

Parsed broken(const std::string& file, Problem problem) {
  Parsed parsed{default_policy(), {std::move(problem)}, {}};
  parsed.policy.file = file;
  return parsed;
}

/// 0, or why it cannot be read as a file: -1 is "not a regular file".
int not_readable(int fd) {
  struct ::stat status {};
  if (fstat(fd, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return S_ISREG(status.st_mode) ? 0 : -1;
}

/// Everything up to the end of the file, or a bit more than kPolicyBytesMax.
std::expected<std::string, int> read_text(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return std::unexpected(errno);
  std::string text;
  std::array<char, 64 * 1024> buffer;
  int problem = not_readable(fd);
  while (problem == 0 && text.size() <= kPolicyBytesMax) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = errno;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(fd);
  if (problem != 0) return std::unexpected(problem);
  return text;
}

}  // namespace

std::string to_string(const Problem& problem) {
  const std::string where = to_string(problem.where);
  return fmt::format("{}{}{}: {}", where, where.empty() ? "" : ": ",
                     problem.severity == Severity::error ? "error" : "warning", problem.what);
}

bool Parsed::ok() const {
  return std::ranges::none_of(
      problems, [](const Problem& problem) { return problem.severity == Severity::error; });
}

Parsed parse_policy(std::string_view text, const std::string& file) {
  if (text.size() > kPolicyBytesMax) {
    return broken(file,
                  {Severity::error,
                   fmt::format("the policy is larger than {} MiB; put addresses in files and name "
                               "them in [[list]] tables",
                               kPolicyBytesMax >> 20),
                   {file, 0, 0}});
  }
  auto parsed = read_tables(text, file);
  if (!parsed) return broken(file, std::move(parsed.error()));
  return std::move(*parsed);
}

Parsed read_policy(const std::string& path) {
  auto text = read_text(path);
  if (text) {
    Parsed parsed = parse_policy(*text, path);
    parsed.text = std::move(*text);
    return parsed;
  }
  const char* reason = text.error() < 0 ? "it is not a regular file" : std::strerror(text.error());
  const char* remedy = "";
  if (text.error() == ENOENT) remedy = "; name a policy file that exists";
  if (text.error() == EACCES) remedy = "; run as root, or make it readable";
  return broken(
      path, {Severity::error, fmt::format("cannot be read: {}{}", reason, remedy), {path, 0, 0}});
}

}  // namespace fw
