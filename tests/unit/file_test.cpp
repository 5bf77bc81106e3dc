// Handles that close themselves, and files that are read with a bound.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fw {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

class FileInFolder : public ::testing::Test {
 protected:
  FileInFolder() {
    char name[] = "/tmp/file_test_XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~FileInFolder() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST(File, ClosesWhatItOwnsOnce) {
  int number = -1;
  {
    File file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = file.fd();
    const File moved = std::move(file);
    EXPECT_TRUE(moved);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
  File file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  file.close();
  EXPECT_FALSE(file);
  file.close();
}

TEST_F(FileInFolder, IsReadUpToABitMoreThanTheBound) {
  const std::string path = folder_ + "/text";
  std::ofstream(path) << std::string(200'000, 'a');
  EXPECT_EQ(read_text_file(path, 1'000'000).value().size(), 200'000u);
  const auto cut = read_text_file(path, 1000).value();
  EXPECT_GT(cut.size(), 1000u);
  EXPECT_LT(cut.size(), 200'000u);
}

TEST_F(FileInFolder, WhatIsNoRegularFileIsNotWaitedFor) {
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read_text_file(fifo, 10).error(), -1);
  EXPECT_FALSE(open_regular(fifo));
  EXPECT_EQ(read_text_file(folder_, 10).error(), EISDIR);
  EXPECT_EQ(read_text_file(folder_ + "/none", 10).error(), ENOENT);
  EXPECT_EQ(read_kernel_file(folder_ + "/none"), "");
}

}  // namespace
}  // namespace fw
