// What nmap finds open, with servers on much more: exactly what the policy opens (P1, P2).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

using Ports = std::set<unsigned>;

class AloneNmap : public OverFamily {
 protected:
  /// The ports that answer as open.
  Ports scan(const std::string& kind, const std::string& ports) const {
    std::vector<std::string> words = {"nmap",          "-Pn",        "-n",  kind, "-T5",
                                      "--max-retries", "2",          "-oG", "-",  "-p",
                                      ports,           "--min-rate", "400"};
    if (family() == Family::ipv6) words.emplace_back("-6");
    words.push_back(to_string(host()));
    const std::string text = must_run(net.outside, words);
    EXPECT_NE(text.find("1 host up"), std::string::npos) << text;
    const auto list = text.find("Ports: ");
    Ports open;
    if (list == std::string::npos) return open;  // none of note
    std::istringstream items(text.substr(list + 7, text.find('\n', list) - list - 7));
    for (std::string item; std::getline(items, item, ',');) {
      if (item.find("/open/") != std::string::npos) {
        open.insert(static_cast<unsigned>(std::stoul(item)));
      }
    }
    return open;
  }
  void expect_open(const Ports& tcp, const Ports& udp) const {
    static const std::string kTcp = "1-1024,2525,3306,4190,5432,6379,8080,9993,29418";
    EXPECT_EQ(scan("-sT", kTcp), tcp) << "whole connections";
    EXPECT_EQ(scan("-sS", kTcp), tcp) << "half-open connections";
    EXPECT_EQ(scan("-sU", "53,123"), udp) << "UDP";
  }

  Server server{net.host, {22, 25, 80, 143, 202, 443, 587, 993, 3306, 4190, 8080}, {53, 123}};
};
BOTH_FAMILIES(AloneNmap);

TEST_P(AloneNmap, FindsEverythingWithoutUs) {
  expect_open({22, 25, 80, 143, 202, 443, 587, 993, 3306, 4190, 8080}, {53, 123});
}

TEST_P(AloneNmap, FindsSshAndTheWeb) {
  fw.apply();
  expect_open({22, 80, 202, 443}, {});
}

TEST_P(AloneNmap, FindsMailWhenItIsEnabled) {
  fw.apply("[mail]\nenabled = true\n");
  expect_open({22, 25, 80, 202, 443, 587, 993, 4190}, {});
}

}  // namespace
}  // namespace lab
