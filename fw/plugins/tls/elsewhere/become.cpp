// Becomes the program that has OpenSSL.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/elsewhere/become.hpp"

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

#include "fw/base/file.hpp"

namespace fw::tls {
namespace {

/// The words of this process.
std::vector<std::string> own_words() {
  std::vector<std::string> words;
  const std::string text = read_kernel_file("/proc/self/cmdline");
  for (std::size_t at = 0; at < text.size(); at += words.back().size() + 1)
    words.emplace_back(text.c_str() + at);
  return words;
}

}  // namespace

std::unexpected<Error> become_program_with_tls() {
  std::error_code wrong;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", wrong);
  const std::string program = self.parent_path() / "cloudron-fw-tls";
  std::vector<std::string> words = own_words();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
  return fail_errno(ErrorCode::missing, "cannot run " + program + "; install cloudron-fw again",
                    errno);
}

}  // namespace fw::tls
