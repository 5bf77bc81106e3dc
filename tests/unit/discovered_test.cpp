// The apps that were last discovered, in the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/discovered.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>

namespace fw {
namespace {

class StateDir {
 public:
  StateDir() {
    std::string name = std::filesystem::temp_directory_path() / "discovered.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;
  ~StateDir() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

Container container(const std::string& id, const std::string& address) {
  Container out;
  out.id = id;
  out.name = id;
  out.addresses = {parse_ip(address).value()};
  return out;
}

Inventory of(std::vector<Container> containers) {
  Inventory out;
  out.containers = std::move(containers);
  return out;
}

const std::string kFile = "inventory";

TEST(KeptInventory, IsReadBackAndGrowsByWhatChanged) {
  const StateDir dir;
  KeptInventory kept(dir.path());
  EXPECT_EQ(kept.read(), nullptr);
  EXPECT_FALSE(kept.take({.everything = true}, {}).empty()) << "now it is known that there is none";
  std::vector<Container> many;
  for (int i = 0; i < 200; ++i) {
    many.push_back(container(fmt::format("{:03}", i), fmt::format("172.20.0.{}", i)));
  }
  EXPECT_EQ(kept.take({.everything = true}, of(many)).containers.size(), 200u);
  ASSERT_TRUE(kept.save());
  const auto size = std::filesystem::file_size(dir / kFile);
  std::uintmax_t before = size;
  std::uintmax_t largest = 0;
  for (int i = 0; i < 600; ++i) {
    const std::string id = fmt::format("{:03}", i % 7);
    kept.take({.containers = {id}}, of({container(id, fmt::format("172.20.1.{}", i % 250))}));
    ASSERT_TRUE(kept.save());
    EXPECT_FALSE(kept.is_others());
    const auto now = std::filesystem::file_size(dir / kFile);
    EXPECT_LT(now, 3 * size) << "bounded";
    EXPECT_TRUE(i >= 100 || now - before < 300) << "one line more";
    before = now;
    largest = std::max(largest, now);
    KeptInventory other(dir.path());
    ASSERT_NE(other.read(), nullptr);
    ASSERT_EQ(*other.read(), *kept.read());
  }
  EXPECT_LT(before, largest) << "it was written anew";
}

TEST(KeptInventory, IsWrittenAnewBehindWhatWasTorn) {
  const StateDir dir;
  KeptInventory kept(dir.path());
  kept.take({.everything = true}, of({container("a", "172.20.0.2")}));
  ASSERT_TRUE(kept.save());
  std::ofstream(dir / kFile, std::ios::app) << "{\"id\": \"b\", \"na";
  EXPECT_TRUE(kept.is_others());
  KeptInventory other(dir.path());
  ASSERT_NE(other.read(), nullptr);
  EXPECT_EQ(other.read()->containers.size(), 1u);
  other.take({.containers = {"c"}}, of({container("c", "172.20.0.3")}));
  ASSERT_TRUE(other.save());
  KeptInventory third(dir.path());
  ASSERT_NE(third.read(), nullptr);
  EXPECT_EQ(third.read()->containers.size(), 2u) << "not hidden behind the torn line";
}

TEST(KeptInventory, WhatCouldNotBeSavedIsKnownAndSavedLater) {
  const StateDir dir;
  KeptInventory kept(dir.path());
  kept.take({.everything = true}, of({container("a", "172.20.0.2")}));
  ASSERT_TRUE(kept.save());
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  for (const rlim_t room :
       {rlim_t{0}, static_cast<rlim_t>(std::filesystem::file_size(dir / kFile) + 5)}) {
    const rlimit full{room, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    kept.take({.containers = {"b"}}, of({container("b", fmt::format("172.20.1.{}", room % 250))}));
    EXPECT_FALSE(kept.save());
    EXPECT_EQ(kept.read()->containers.size(), 2u);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  }
  (void)std::signal(SIGXFSZ, before_signal);
  kept.take({.containers = {"c"}}, of({container("c", "172.20.0.3")}));
  ASSERT_TRUE(kept.save());
  KeptInventory other(dir.path());
  ASSERT_NE(other.read(), nullptr);
  EXPECT_EQ(*other.read(), *kept.read());
}

}  // namespace
}  // namespace fw
