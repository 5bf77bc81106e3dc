// Address lists as an admin has them: files with all that files can have, read once and remembered.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/lists.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "tests/unit/samples.hpp"

namespace fw {
namespace {

namespace fs = std::filesystem;

/// A folder that is gone afterwards.
class ListFolder {
 public:
  ListFolder() {
    std::string name = (fs::temp_directory_path() / "lists_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ListFolder(const ListFolder&) = delete;
  ListFolder& operator=(const ListFolder&) = delete;
  ~ListFolder() { fs::remove_all(path_); }

  std::string at(const std::string& name) const { return (path_ / name).string(); }

  /// Writes a file, and waits for the clock tick after which its stamp can be trusted.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name), std::ios::binary | std::ios::trunc) << text;
    struct ::stat status {};
    ::stat(at(name).c_str(), &status);
    ::timespec now{};
    do ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (std::pair(now.tv_sec, now.tv_nsec) <=
           std::pair(status.st_ctim.tv_sec, status.st_ctim.tv_nsec));
    return at(name);
  }

 private:
  fs::path path_;
};

ListText read(const std::string& text) {
  leave_sample("lists", text);
  const ListFolder folder;
  auto list = read_list(folder.write("list", text));
  EXPECT_TRUE(list) << to_string(list.error());
  return list ? *list : ListText{};
}

AddressSet set_of(const std::vector<std::string>& ranges) {
  AddressSet set;
  for (const std::string& text : ranges) {
    const IpRange range = parse_ip_range(text).value();
    if (range.family == Family::ipv6) {
      set.v6.push_back({range.first, range.last});
    } else {
      set.v4.push_back(
          {static_cast<std::uint32_t>(range.first), static_cast<std::uint32_t>(range.last)});
    }
  }
  normalize(set);
  return set;
}

std::vector<std::size_t> bad_lines(const ListText& list) {
  std::vector<std::size_t> lines;
  for (const BadLine& bad : list.bad) lines.push_back(bad.line);
  return lines;
}

TEST(ReadList, TakesAddressesNetworksAndRangesOfBothFamilies) {
  const ListText list = read(
      "203.0.113.7\n"
      "198.51.100.0/24\n"
      "192.0.2.1-192.0.2.9\n"
      "192.0.2.20 - 192.0.2.21\n"
      "2001:db8::1\n"
      "2001:db8:1::/48\n"
      "2001:db8::10-2001:db8::1f\n"
      "::ffff:203.0.113.8\n");
  EXPECT_EQ(list.bad_count, 0u);
  EXPECT_EQ(list.entries, 8u);
  EXPECT_EQ(list.set, set_of({"203.0.113.7-203.0.113.8", "198.51.100.0/24", "192.0.2.1-192.0.2.9",
                              "192.0.2.20-192.0.2.21", "2001:db8::1", "2001:db8:1::/48",
                              "2001:db8::10-2001:db8::1f"}));
}

TEST(ReadList, NamesWideNetworksWithHostBits) {
  const ListText list = read(
      "198.51.100.77/16\n198.51.100.77/15\n198.50.0.0/15\n2001:db8::1/32\n"
      "{\"cidr\": \"2001:db8::1/31\"}\n::ffff:198.51.100.77/111\n");
  std::vector<std::size_t> lines;
  for (const BadLine& wide : list.wide) lines.push_back(wide.line);
  EXPECT_EQ(lines, (std::vector<std::size_t>{2, 5, 6}));
  EXPECT_EQ(list.wide.front().what,
            "198.51.100.77/15 means all of 198.50.0.0/15: write that, or the network you mean");
  EXPECT_EQ(list.entries, 6u);
}

TEST(ReadList, MasksHostBits) {
  const ListText list = read(
      "198.51.100.77/24\n"
      "255.255.255.255/0 # everything\n"
      "10.1.2.3/32\n"
      "2001:db8::77/64\n"
      "::ffff:203.0.113.8/120\n");
  EXPECT_EQ(bad_lines(list), std::vector<std::size_t>{2});
  EXPECT_EQ(list.set, set_of({"10.1.2.3", "198.51.100.0/24", "2001:db8::/64", "203.0.113.0/24"}));
  EXPECT_EQ(read("::ffff:203.0.113.8/120").set, set_of({"203.0.113.0/24"}));
  EXPECT_EQ(read("2001:db8::1/128").set, set_of({"2001:db8::1"}));
}

TEST(ReadList, TheWholeInternetIsNoEntry) {
  for (const char* text : {"0.0.0.0/0", "255.255.255.255/0", "0.0.0.0-255.255.255.255", "::/0",
                           "2001:db8::1/0", "::ffff:0:0/96", "::ffff:10.0.0.1/96",
                           "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "deny from all"}) {
    const ListText list = read(std::string("203.0.113.7\n") + text + "\n");
    EXPECT_EQ(bad_lines(list), std::vector<std::size_t>{2}) << text;
    EXPECT_EQ(list.set, set_of({"203.0.113.7"})) << text;
  }
}

TEST(ReadList, TakesJsonLinesOfSpamhaus) {
  const ListText list =
      read(R"({"cidr":"203.0.113.0/24","sblid":"SBL256894","rir":"apnic"})"
           "\r\n"
           R"({"cidr": "2001:db8::/32", "note": "# no comment; no end"},)"
           "\n"
           R"({"ip":"198.51.100.7"})"
           "\n"
           R"({"sblid":"SBL1"})"
           "\n"
           R"({"cidr":"nonsense"})"
           "\n"
           R"({"type":"metadata","timestamp":1700000000,"size":2,"copyright":"(c) ..."})"
           "\n");
  EXPECT_EQ(list.set, set_of({"203.0.113.0/24", "2001:db8::/32", "198.51.100.7"}));
  EXPECT_EQ(bad_lines(list), (std::vector<std::size_t>{4, 5}));
}

TEST(ReadList, TakesTablesWhoseFirstColumnIsTheAddress) {
  const ListText dshield = read(
      "# DShield.org Recommended Block List\n"
      "Start\tEnd\tNetmask\tattacks\tname\n"
      "203.0.113.0\t203.0.113.255\t24\t3545\tA NETWORK, Inc.\n"
      "198.51.100.9\t198.51.100.1\t24\n"
      "198.51.100.1\t198.51.100.9\n"
      "192.0.2.7\t12\n");
  EXPECT_EQ(dshield.set, set_of({"203.0.113.0/24", "192.0.2.7"}));
  EXPECT_EQ(bad_lines(dshield), (std::vector<std::size_t>{4, 5}));
  const ListText csv = read(
      "ip,comment\n"
      "203.0.113.7,guessed passwords\n"
      "\"203.0.113.8\", \"said \"\"hello\"\", twice\"\n"
      "2001:db8::/64,a network\n"
      "192.0.2.1,192.0.2.9\n"
      "ip,comment\n");
  EXPECT_EQ(csv.set, set_of({"203.0.113.7", "203.0.113.8", "2001:db8::/64"}));
  EXPECT_EQ(bad_lines(csv), (std::vector<std::size_t>{5, 6}));
}

TEST(ReadList, TakesLinesOfWebServers) {
  const ListText list = read(
      "deny from 203.0.113.7\n"
      "Deny From 203.0.113.8 198.51.100.0/24\n"
      "deny 2001:db8::/64;\n"
      "Require not ip 192.0.2.1\n"
      "deny from example.org\n");
  EXPECT_EQ(list.set,
            set_of({"203.0.113.7-203.0.113.8", "198.51.100.0/24", "2001:db8::/64", "192.0.2.1"}));
  EXPECT_EQ(list.entries, 5u);
  EXPECT_EQ(bad_lines(list), std::vector<std::size_t>{5});
}

TEST(ReadList, NamesWhatTouchesSparedSpace) {
  const ListFolder folder;
  const auto list = read_list(folder.write("list",
                                           "203.0.113.7\n"
                                           "10.0.0.0/8\n"
                                           "9.255.0.0-10.0.0.3\n"
                                           "172.16.0.0/11\n"
                                           "8.8.8.8\n"
                                           "fe80::/10\n"
                                           "2000::/3\n"
                                           "ff02::1\n"
                                           "0.0.0.0\n"
                                           "::ffff:192.168.0.1\n"),
                              special_space());
  ASSERT_TRUE(list);
  std::vector<std::size_t> lines;
  for (const BadLine& left : list->left_out) lines.push_back(left.line);
  EXPECT_EQ(lines, (std::vector<std::size_t>{2, 3, 4, 6, 8, 9, 10}));
  EXPECT_EQ(list->left_count, 7u);
  EXPECT_EQ(list->left_out[0].what, "10.0.0.0/8: a private network");
  EXPECT_EQ(list->bad_count, 0u);
}

TEST(ReadList, LooksPastCommentsBlanksAndLineEnds) {
  const ListText list = read(
      "\xef\xbb\xbf"
      "10.0.0.1\r\n"
      "\r\n"
      "# all of this 10.0.0.99\n"
      "; and this\n"
      "\t 10.0.0.2 \t\n"
      "10.0.0.3 # why\n"
      "10.0.0.4;SBL1\n"
      "10.0.0.5/32#x\r\n"
      "   \n"
      "2001:db8::1 ; six\n"
      "10.0.0.6");
  EXPECT_EQ(bad_lines(list), std::vector<std::size_t>{});
  EXPECT_EQ(list.set, set_of({"10.0.0.1-10.0.0.6", "2001:db8::1"}));
  EXPECT_EQ(list.entries, 7u);
}

TEST(ReadList, NamesEachBadLine) {
  const ListText list = read(
      "10.0.0.1\n"
      "10.0.0\n"
      "10.0.0.256\n"
      "10.0.0.1/33\n"
      "10.0.0.9-10.0.0.1\n"
      "010.0.0.1\n"
      "10.0.0.1 10.0.0.2\n"
      "10.0.0.2\r10.0.0.3\n"
      "example.org\n"
      "10.0.0.1-2001:db8::1\n"
      "2001:db8::/129\n"
      "::ffff:10.0.0.1/64\n"
      "10.0.0.1/\n"
      "10.0.0.1/08\n"
      "10.0.0.2\n");
  EXPECT_EQ(list.set, set_of({"10.0.0.1-10.0.0.2"}));
  EXPECT_EQ(bad_lines(list),
            (std::vector<std::size_t>{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(list.bad_count, 13u);
  for (const BadLine& bad : list.bad) EXPECT_FALSE(bad.what.empty());
}

TEST(ReadList, NulBytesMakeABadLineAndSpoilNothingElse) {
  using namespace std::string_literals;
  const ListText list =
      read("10.0.0.1\n10.0.0.2\0\n\0\n10.0.0.3 # \0\n2001:db8::1\0x\n10.0.0.4\n"s);
  EXPECT_EQ(bad_lines(list), (std::vector<std::size_t>{2, 3, 5}));
  EXPECT_EQ(list.set, set_of({"10.0.0.1", "10.0.0.3-10.0.0.4"}));
}

TEST(ReadList, RemembersTheFirstBadLinesAndCountsAll) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "nonsense\n";
  const ListText list = read(text);
  EXPECT_EQ(list.bad_count, 100u);
  EXPECT_EQ(list.bad.size(), kListBadLinesShown);
  EXPECT_EQ(list.bad.back().line, kListBadLinesShown);
}

TEST(ReadList, ALineMayBeLongButNotLonger) {
  for (const std::size_t before : {0u, 60'000u, 65'500u, 65'535u}) {
    const std::string start(before / 12 * 12, ' ');
    std::string padding;
    for (std::size_t i = 0; i < before / 12; ++i) padding += "10.11.12.13\n";
    const std::size_t lines = before / 12;
    const auto commented = [](std::size_t bytes) {
      std::string line = "192.0.2.1 #";
      return line + std::string(bytes - line.size(), 'x') + "\n";
    };
    const ListText list =
        read(padding + commented(kListLineBytesMax) + commented(kListLineBytesMax + 1) +
             commented(70'000) + commented(200'000) + "192.0.2.2\nwrong\n" + commented(100'000));
    EXPECT_EQ(bad_lines(list),
              (std::vector<std::size_t>{lines + 2, lines + 3, lines + 4, lines + 6, lines + 7}));
    EXPECT_EQ(list.entries, lines + 2);
  }
}

TEST(ReadList, ALongLastLineWithoutItsEndIsBadOnce) {
  for (const std::size_t size :
       {kListLineBytesMax + 1, std::size_t{65'536}, std::size_t{131'072}, std::size_t{150'000}}) {
    const ListText list = read("10.0.0.1\n" + std::string(size, '1'));
    EXPECT_EQ(bad_lines(list), (std::vector<std::size_t>{2})) << size;
    EXPECT_EQ(list.entries, 1u);
  }
}

TEST(ReadList, EmptyFilesAreEmptyLists) {
  for (const char* text : {"", "\n", "\r\n\r\n", "# nothing", "#\n\n"}) {
    const ListText list = read(text);
    EXPECT_TRUE(list.set.empty());
    EXPECT_EQ(list.bad_count, 0u);
  }
}

TEST(ReadList, RefusesWhatIsNoFile) {
  const ListFolder folder;
  const auto reason = [](const std::string& path) {
    const auto list = read_list(path);
    EXPECT_FALSE(list);
    EXPECT_EQ(list.error().code, ErrorCode::io);
    return list.error().sys_errno;
  };
  EXPECT_EQ(reason(folder.at("absent")), ENOENT);
  EXPECT_EQ(reason(folder.at("")), EISDIR);
  EXPECT_EQ(reason(folder.write("file", "") + "/below"), ENOTDIR);
  ASSERT_EQ(::mkfifo(folder.at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(reason(folder.at("fifo")), 0);  // and it does not hang
  EXPECT_EQ(reason("/dev/zero"), 0);
}

/// What a line means, by the rules of single values and nothing clever.
std::optional<IpRange> meaning(const std::string& text) {
  if (auto range = parse_ip_range(text)) return *range;
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return {};
  const std::string digits = text.substr(slash + 1);
  const auto ip = parse_ip(text.substr(0, slash));
  if (!ip || ip->family != Family::ipv4 || digits.empty() || digits.size() > 2 ||
      digits.find_first_not_of("0123456789") != digits.npos ||
      (digits.size() == 2 && digits[0] == '0'))
    return {};
  const int length = std::stoi(digits);
  if (length == 0 || length > 32) return {};
  const U128 host = (U128{1} << (32 - length)) - 1;
  return IpRange{Family::ipv4, ip->bits & ~host, ip->bits | host};
}

std::string random_ipv4_text(std::mt19937& random) {
  const auto number = [&] { return random() % (random() % 2 == 0 ? 256 : 20); };
  std::string text = fmt::format("{}.{}.{}.{}", number(), number(), number(), number());
  if (random() % 3 == 0) text += fmt::format("/{}", random() % 36);
  if (random() % 6 == 0) {
    const auto last = random();
    text += fmt::format("-{}.{}.{}.{}", last >> 24 & 255, last >> 16 & 255, last >> 8 & 255,
                        last & 255);
  }
  constexpr std::string_view kNoise = "0123456789./-:+ \x01\x7f\x8a\xff";
  for (std::size_t n = random() % 4 == 0 ? random() % 3 : 0; n > 0; --n) {
    const std::size_t place = random() % (text.size() + 1);
    const char c = kNoise[random() % kNoise.size()];
    if (place < text.size() && random() % 2 == 0) {
      text[place] = c;
    } else {
      text.insert(place, 1, c);
    }
  }
  return text;
}

TEST(ReadList, TheFastPathAgreesWithTheSlowOne) {
  std::mt19937 random(4);
  const ListFolder folder;
  for (int round = 0; round < 500; ++round) {
    std::string text;
    AddressSet wanted;
    std::vector<std::size_t> wanted_bad;
    std::string trouble;
    for (std::size_t line = 1; line <= kListBadLinesShown; ++line) {
      const std::string entry = random_ipv4_text(random);
      text += entry + (line == kListBadLinesShown ? "" : random() % 2 == 0 ? "\n" : "\r\n");
      const std::size_t begin = entry.find_first_not_of(' ');
      const auto range = meaning(
          begin == entry.npos ? "" : entry.substr(begin, entry.find_last_not_of(' ') - begin + 1));
      if (!range) {
        wanted_bad.push_back(line);
      } else {
        ASSERT_EQ(range->family, Family::ipv4);
        wanted.v4.push_back(
            {static_cast<std::uint32_t>(range->first), static_cast<std::uint32_t>(range->last)});
      }
    }
    normalize(wanted);
    fs::remove(folder.at("list"));  // a new file is written faster than an old one again
    std::ofstream(folder.at("list"), std::ios::binary) << text;
    const auto list = read_list(folder.at("list"));
    ASSERT_EQ(bad_lines(*list), wanted_bad) << text;
    ASSERT_EQ(list->set, wanted) << text;
  }
}

TEST(ReadList, LinesCrossChunksWhole) {
  std::mt19937 random(5);
  for (int round = 0; round < 3; ++round) {
    std::string text;
    AddressSet wanted;
    for (int i = 0; i < 50'000; ++i) {
      const auto first = static_cast<std::uint32_t>(random());
      const std::uint32_t host = random() % 10 == 0 ? 255 : 0;
      text += to_string(Ip{Family::ipv4, first}) + (host != 0 ? "/24" : "");
      if (random() % 50 == 0) text += std::string(random() % 300, ' ') + "# comment";
      text += random() % 3 == 0 ? "\r\n" : "\n";
      wanted.v4.push_back({first & ~host, first | host});
    }
    normalize(wanted);
    const ListText list = read(text);
    ASSERT_EQ(list.bad_count, 0u);
    ASSERT_EQ(list.entries, 50'000u);
    ASSERT_EQ(list.set, wanted);
  }
}

List block_list(const std::string& file) { return {file, file, ListAction::block, {}}; }
List allow_list(const std::string& file) { return {file, file, ListAction::allow, {}}; }

/// A policy in a folder, its lists beside it, and the state of the program.
struct Host {
  ListFolder folder;
  Policy policy;
  std::string state = folder.at("state");

  Host() { policy.file = folder.at("policy.toml"); }

  void trust(const std::string& network) {
    policy.trusted.push_back({parse_ip_range(network).value(), {}});
  }

  /// As one run of apply does it.
  EffectiveLists apply() const {
    Lists lists(state);
    EffectiveLists effective = lists.resolve(policy);
    EXPECT_TRUE(lists.content(effective.block));
    EXPECT_TRUE(lists.save());
    return effective;
  }

  AddressSet content(const Digest& digest) const {
    auto set = Lists(state).content(digest);
    EXPECT_TRUE(set) << to_string(set.error());
    return set ? *set : AddressSet{};
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(state + "/lists"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string set_file(const Digest& digest) const {
    return state + "/lists/" + to_string(digest) + ".set";
  }
};

/// Tells whether a file was opened since the last question.
class OpenWatch {
 public:
  explicit OpenWatch(const std::string& path) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    EXPECT_GE(::inotify_add_watch(fd_, path.c_str(), IN_OPEN), 0);
  }
  OpenWatch(const OpenWatch&) = delete;
  OpenWatch& operator=(const OpenWatch&) = delete;
  ~OpenWatch() { ::close(fd_); }

  bool opened() {
    alignas(inotify_event) std::array<char, 4096> events;
    return ::read(fd_, events.data(), events.size()) > 0;
  }

 private:
  int fd_;
};

TEST(Lists, OneBlockListIsItsOwnEffectiveSet) {
  Host host;
  host.folder.write("bad.txt", "10.0.0.1\n10.0.0.2\n");
  host.policy.lists = {block_list("bad.txt")};
  host.trust("192.0.2.0/24");
  const EffectiveLists effective = host.apply();
  EXPECT_FALSE(effective.has_problems());
  EXPECT_TRUE(effective.allow.zero());
  ASSERT_EQ(effective.reports.size(), 1u);
  EXPECT_EQ(effective.reports[0].digest, effective.block);
  EXPECT_EQ(effective.reports[0].entries, 2u);
  EXPECT_EQ(effective.reports[0].file, host.folder.at("bad.txt"));
  EXPECT_EQ(host.content(effective.block), set_of({"10.0.0.1-10.0.0.2"}));
  EXPECT_EQ(host.files(), (std::vector<std::string>{to_string(effective.block) + ".set", "index"}));
}

TEST(Lists, AllowListsAndTrustedNetworksAreTakenOut) {
  Host host;
  host.folder.write("a", "10.0.0.0/24\n2001:db8::/32\n");
  host.folder.write("b", "10.0.1.0/24\n");
  host.folder.write("c", "10.0.0.7\n10.9.9.9\n");
  host.policy.lists = {block_list("a"), allow_list("c"), block_list("b")};
  host.trust("10.0.1.128/25");
  host.trust("2001:db8:8000::/33");
  const EffectiveLists effective = host.apply();
  EXPECT_EQ(host.content(effective.block),
            set_of({"10.0.0.0-10.0.0.6", "10.0.0.8-10.0.1.127", "2001:db8::/33"}));
  EXPECT_EQ(host.content(effective.allow), set_of({"10.0.0.7", "10.9.9.9"}));
}

TEST(Lists, AChangeOfActionOrTrustChangesTheEffectiveSet) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a")};
  const Digest before = host.apply().block;
  host.trust("10.0.0.0/8");
  EXPECT_TRUE(host.apply().block.zero());
  host.policy.trusted.clear();
  EXPECT_EQ(host.apply().block, before);
  host.policy.lists = {allow_list("a")};
  const EffectiveLists effective = host.apply();
  EXPECT_TRUE(effective.block.zero());
  EXPECT_EQ(effective.allow, before);
  host.policy.lists = {};
  host.apply();
  EXPECT_EQ(host.files(), std::vector<std::string>{"index"});
}

TEST(Lists, AnUnchangedFileIsNotOpened) {
  Host host;
  host.policy.lists = {block_list("a")};
  OpenWatch watch(host.folder.write("a", "10.0.0.1\n"));
  const Digest first = host.apply().block;
  EXPECT_TRUE(watch.opened());
  EXPECT_EQ(host.apply().block, first);
  EXPECT_FALSE(watch.opened());
  host.folder.write("a", "10.0.0.2\n");  // of the same size
  watch.opened();
  EXPECT_NE(host.apply().block, first);
  EXPECT_TRUE(watch.opened());
}

TEST(Lists, AFileThatChangedJustNowIsReadAgain) {
  Host host;
  host.policy.lists = {block_list("a")};
  for (int i = 0; i < 100; ++i) {
    const std::string text = fmt::format("10.0.0.{:03}\n", 100 + i % 100);
    std::ofstream(host.folder.at("a"), std::ios::trunc) << text;
    ASSERT_EQ(host.content(host.apply().block), set_of({text.substr(0, 10)}));
  }
}

TEST(Lists, NothingIsWrittenWhenNothingChanged) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a")};
  host.apply();
  const auto inode = [&] {
    struct ::stat status {};
    ::stat((host.state + "/lists/index").c_str(), &status);
    return std::pair(status.st_ino, status.st_ctim.tv_nsec);
  };
  const auto before = inode();
  host.apply();
  EXPECT_EQ(inode(), before);
}

TEST(Lists, ResolveAloneLeavesTheDiskAsItIs) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a")};
  Lists lists(host.state);
  const Digest block = lists.resolve(host.policy).block;
  EXPECT_EQ(lists.content(block).value(), set_of({"10.0.0.1"}));
  EXPECT_FALSE(fs::exists(host.state));
}

TEST(Lists, TheContentBeforeStaysUntilTheNextSave) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a")};
  const Digest before = host.apply().block;
  host.folder.write("a", "10.0.0.1\n10.0.0.2\n");
  Lists lists(host.state);
  const Digest after = lists.resolve(host.policy).block;
  EXPECT_EQ(lists.content(before).value(), set_of({"10.0.0.1"}));
  EXPECT_EQ(lists.content(after).value(), set_of({"10.0.0.1-10.0.0.2"}));
  ASSERT_TRUE(lists.save());
  EXPECT_EQ(lists.content(after).value(), set_of({"10.0.0.1-10.0.0.2"}));
  EXPECT_FALSE(lists.content(before));
}

TEST(Lists, BadLinesLeaveTheLastGoodContentInForce) {
  Host host;
  host.folder.write("a", "10.0.0.1\n10.0.0.2\n");
  host.policy.lists = {block_list("a")};
  const Digest good = host.apply().block;
  OpenWatch watch(host.folder.write("a", "10.0.0.1\nwrong\n10.0.0.3\n"));
  for (int run = 0; run < 3; ++run) {  // as long as the file stays so
    const EffectiveLists effective = host.apply();
    EXPECT_EQ(effective.block, good);
    EXPECT_TRUE(effective.has_problems());
    const ListReport& report = effective.reports[0];
    EXPECT_TRUE(report.last_good);
    EXPECT_EQ(report.entries, 2u);
    EXPECT_EQ(report.bad_count, 1u);
    ASSERT_EQ(report.bad.size(), 1u);
    EXPECT_EQ(report.bad[0].line, 2u);
    EXPECT_NE(report.bad[0].what.find("wrong"), std::string::npos);
    EXPECT_EQ(report.problem, "a bad line; its last good content (2 entries) stays in force");
    EXPECT_EQ(watch.opened(), run == 0);
  }
  host.folder.write("a", "10.0.0.1\n10.0.0.3\n");
  const EffectiveLists mended = host.apply();
  EXPECT_FALSE(mended.has_problems());
  EXPECT_EQ(host.content(mended.block), set_of({"10.0.0.1", "10.0.0.3"}));
}

TEST(Lists, WithoutGoodContentTheGoodLinesAreInForce) {
  Host host;
  host.folder.write("a", "10.0.0.1\nwrong\nwrong\n");
  host.policy.lists = {block_list("a")};
  for (int run = 0; run < 2; ++run) {
    const EffectiveLists effective = host.apply();
    EXPECT_EQ(host.content(effective.block), set_of({"10.0.0.1"}));
    EXPECT_FALSE(effective.reports[0].last_good);
    EXPECT_EQ(effective.reports[0].bad_count, 2u);
    EXPECT_EQ(effective.reports[0].problem,
              "2 bad lines; it has no earlier content, so its good lines (1 entry) are in force");
  }
  host.folder.write("a", "10.0.0.1\nwrong\n10.0.0.5\n");  // still bad, and still the best there is
  EXPECT_EQ(host.content(host.apply().block), set_of({"10.0.0.1", "10.0.0.5"}));
  fs::remove(host.folder.at("a"));
  const EffectiveLists gone = host.apply();
  EXPECT_EQ(host.content(gone.block), set_of({"10.0.0.1", "10.0.0.5"}));
  EXPECT_TRUE(gone.reports[0].last_good);
}

TEST(Lists, AnUnreadableFileLeavesTheLastGoodContentInForce) {
  Host host;
  host.policy.lists = {block_list("a"), block_list("never")};
  host.folder.write("a", "10.0.0.1\n");
  const Digest good = host.apply().block;
  fs::remove(host.folder.at("a"));
  for (int run = 0; run < 2; ++run) {
    const EffectiveLists effective = host.apply();
    EXPECT_EQ(effective.block, good);
    EXPECT_TRUE(effective.reports[0].last_good);
    EXPECT_NE(effective.reports[0].problem.find("No such file"), std::string::npos);
    EXPECT_FALSE(effective.reports[1].last_good);
    EXPECT_TRUE(effective.reports[1].digest.zero());
    EXPECT_NE(effective.reports[1].problem.find("empty until"), std::string::npos);
  }
}

TEST(Lists, AFileThatLostMostOfItsEntriesIsNotTaken) {
  Host host;
  host.policy.lists = {block_list("a"), allow_list("b")};
  const std::string five = "203.0.113.1\n203.0.113.3\n203.0.113.5\n203.0.113.7\n203.0.113.9\n";
  host.folder.write("a", five);
  host.folder.write("b", "192.0.2.1\n");
  const EffectiveLists good = host.apply();
  EXPECT_FALSE(good.has_problems());
  for (const char* shrunk : {"", "# 503\n", "203.0.113.1\n203.0.113.3\n"}) {
    OpenWatch watch(host.folder.write("a", shrunk));
    for (int run = 0; run < 2; ++run) {
      const EffectiveLists effective = host.apply();
      EXPECT_EQ(effective.block, good.block) << shrunk;
      EXPECT_TRUE(effective.reports[0].shrank && effective.reports[0].last_good) << shrunk;
      EXPECT_NE(effective.reports[0].problem.find("--accept-lists"), std::string::npos);
      EXPECT_EQ(watch.opened(), run == 0);
    }
  }
  host.folder.write("b", "");
  EXPECT_EQ(host.apply().allow, good.allow) << "of any kind";
  {
    Lists lists(host.state);
    const EffectiveLists taken = lists.resolve(host.policy, {{}, Shrunk::accept});
    EXPECT_FALSE(taken.has_problems());
    EXPECT_EQ(lists.content(taken.block).value(), set_of({"203.0.113.1", "203.0.113.3"}));
    EXPECT_TRUE(taken.allow.zero());
    ASSERT_TRUE(lists.save());
  }
  EXPECT_FALSE(host.apply().has_problems());
  host.folder.write("a", "203.0.113.1\n");
  EXPECT_FALSE(host.apply().has_problems()) << "half is not less than half";
  host.folder.write("a", five);
  EXPECT_EQ(host.apply().block, good.block);
}

TEST(Lists, NoBlockListReachesSparedSpace) {
  Host host;
  host.policy.lists = {block_list("a"), allow_list("b")};
  host.folder.write("a", "9.0.0.0-11.0.0.0\n203.0.113.7\nfe80::/10\n");
  host.folder.write("b", "10.0.0.0/8\n");
  const ListsAsk ask{special_space()};
  for (int run = 0; run < 2; ++run) {
    Lists lists(host.state);
    const EffectiveLists effective = lists.resolve(host.policy, ask);
    EXPECT_FALSE(effective.has_problems());
    EXPECT_EQ(effective.reports[0].left_count, 2u);
    EXPECT_EQ(effective.reports[0].left_out.front().line, 1u);
    EXPECT_EQ(effective.reports[1].left_count, 0u) << "who allows does not block";
    EXPECT_EQ(lists.content(effective.block).value(),
              set_of({"9.0.0.0/8", "11.0.0.0", "203.0.113.7"}));
    EXPECT_EQ(lists.content(effective.allow).value(), set_of({"10.0.0.0/8"}));
    ASSERT_TRUE(lists.save());
  }
  // Other space: the file is the same, and is read again.
  host.policy.lists = {block_list("a")};
  Lists lists(host.state);
  const IpRange own = parse_ip_range("203.0.113.0/24").value();
  const EffectiveLists effective = lists.resolve(host.policy, {{{own, "this host's network"}}});
  EXPECT_EQ(effective.reports[0].left_out.at(0), (BadLine{2, "203.0.113.7: this host's network"}));
  EXPECT_EQ(lists.content(effective.block).value(), set_of({"9.0.0.0-11.0.0.0", "fe80::/10"}));
}

TEST(Lists, AFileMayBeNamedTwice) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a"), block_list("./a"), allow_list("a")};
  const EffectiveLists effective = host.apply();
  EXPECT_TRUE(effective.block.zero());
  EXPECT_EQ(effective.reports[1].file, host.folder.at("a"));
  EXPECT_EQ(effective.allow, effective.reports[0].digest);
}

TEST(Lists, PathsMayHoldAnything) {
  Host host;
  const std::string odd = "a b\\n\n\\c";
  OpenWatch watch(host.folder.write(odd, "10.0.0.1\n"));
  host.policy.lists = {block_list(odd)};
  host.apply();
  EXPECT_TRUE(watch.opened());
  EXPECT_FALSE(host.apply().has_problems());
  EXPECT_FALSE(watch.opened());
}

void flip_byte(const std::string& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const auto byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(at);
  file.put(byte);
  ASSERT_TRUE(file.good());
}

TEST(Lists, ADamagedCacheCostsTimeOnly) {
  using Damage = void (*)(const std::string& set, const std::string& index);
  const std::vector<Damage> damages{
      [](const std::string& set, const std::string&) { fs::remove(set); },
      [](const std::string& set, const std::string&) { fs::resize_file(set, 20); },
      [](const std::string& set, const std::string&) {
        fs::resize_file(set, fs::file_size(set) - 1);
      },
      [](const std::string& set, const std::string&) { fs::resize_file(set, 1 << 20); },
      [](const std::string& set, const std::string&) { flip_byte(set, 0); },
      [](const std::string& set, const std::string&) { flip_byte(set, 10); },
      [](const std::string& set, const std::string&) { flip_byte(set, 31); },
      [](const std::string& set, const std::string&) { flip_byte(set, 44); },  // in a span
      [](const std::string&, const std::string& index) { fs::remove(index); },
      [](const std::string&, const std::string& index) { fs::resize_file(index, 0); },
      [](const std::string&, const std::string& index) { fs::resize_file(index, 100); },
      [](const std::string&, const std::string& index) { flip_byte(index, 60); },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    for (const bool several : {false, true}) {
      Host host;
      host.folder.write("a", "10.0.0.1\n10.0.0.9\n");
      host.folder.write("b", "10.0.1.1\n");
      host.policy.lists = {block_list("a")};
      if (several) host.policy.lists.push_back(block_list("b"));
      const EffectiveLists before = host.apply();
      // Once the list's own content, once what was computed from it.
      for (const Digest& hurt : {before.block, before.reports[0].digest}) {
        damages[i](host.set_file(hurt), host.state + "/lists/index");
        Lists lists(host.state);
        const EffectiveLists after = lists.resolve(host.policy);
        ASSERT_EQ(after.block, before.block) << i;
        ASSERT_FALSE(after.has_problems());
        const auto content = lists.content(after.block);
        ASSERT_TRUE(content) << i << to_string(content.error());
        ASSERT_EQ(*content, several ? set_of({"10.0.0.1", "10.0.0.9", "10.0.1.1"})
                                    : set_of({"10.0.0.1", "10.0.0.9"}));
        ASSERT_TRUE(lists.save());
        ASSERT_EQ(host.content(after.block), *content) << i;
      }
    }
  }
}

TEST(Lists, DamageIsNoticedWhenAnotherListChanges) {
  Host host;
  host.folder.write("a", "10.0.0.1\n");
  host.folder.write("b", "10.0.1.1\n");
  host.policy.lists = {block_list("a"), block_list("b")};
  const EffectiveLists before = host.apply();
  flip_byte(host.set_file(before.reports[0].digest), 44);
  host.folder.write("b", "10.0.1.2\n");
  const EffectiveLists after = host.apply();
  EXPECT_FALSE(after.has_problems());
  EXPECT_EQ(host.content(after.block), set_of({"10.0.0.1", "10.0.1.2"}));
}

TEST(Lists, SaveSaysWhyItCannot) {
  Host host;
  host.state = host.folder.write("file", "x");
  host.folder.write("a", "10.0.0.1\n");
  host.policy.lists = {block_list("a")};
  Lists lists(host.state);
  lists.resolve(host.policy);
  const auto saved = lists.save();
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::io);
  EXPECT_EQ(saved.error().sys_errno, ENOTDIR);
}

TEST(Lists, AnyHistoryComesToWhatTheFilesSay) {
  std::mt19937 random(6);
  Host host;
  const std::vector<std::string> names{"a", "b", "c", "d"};
  std::map<std::string, AddressSet> in_force;  // the oracle: each file's last good content
  const auto change = [&](const std::string& name) {
    std::string text;
    std::vector<std::string> ranges;
    for (std::size_t n = random() % 5; n > 0; --n) {
      ranges.push_back(fmt::format("10.0.0.{}/{}", random() % 8 * 32, random() % 2 == 0 ? 32 : 27));
      text += ranges.back() + "\n";
    }
    const bool bad = in_force.contains(name) && random() % 3 == 0;
    if (bad) text += "bad\n";
    if (!bad) in_force[name] = set_of(ranges);
    host.folder.write(name, text);
  };
  for (const std::string& name : names) change(name);
  std::optional<Lists> lists;
  for (int step = 0; step < 150; ++step) {
    if (random() % 2 == 0) change(names[random() % names.size()]);
    if (random() % 4 == 0) {
      host.policy.lists.clear();
      // In one order and all of them: content of a list that no policy names is forgotten.
      for (const std::string& name : names)
        host.policy.lists.push_back(random() % 3 == 0 ? allow_list(name) : block_list(name));
      host.policy.trusted.clear();
      if (random() % 2 == 0) host.trust(fmt::format("10.0.0.{}/28", random() % 16 * 16));
    }
    if (!lists || random() % 2 == 0) lists.emplace(host.state);
    const EffectiveLists effective = lists->resolve(host.policy, {{}, Shrunk::accept});
    AddressSet block, allow;
    for (const List& list : host.policy.lists) {
      AddressSet& side = list.action == ListAction::block ? block : allow;
      side = unite(side, in_force[list.name]);
    }
    block = subtract(block, allow);
    for (const auto& [range, where] : host.policy.trusted)
      block = subtract(block, set_of({to_string(range)}));
    ASSERT_EQ(lists->content(effective.block).value(), block) << step;
    ASSERT_EQ(lists->content(effective.allow).value(), allow) << step;
    // A run that does not get to save may lose sight of good content that came and went.
    ASSERT_TRUE(lists->save());
  }
}

}  // namespace
}  // namespace fw
