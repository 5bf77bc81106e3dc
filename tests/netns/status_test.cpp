// What status says after traffic.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;

class Status : public OverFamily {
 protected:
  Server server{net.host, {22, 80, 8050}, {5000}};
};
BOTH_FAMILIES(Status);

TEST_P(Status, SaysWhenTheFirewallIsNotInForce) {
  const Output text = fw.run({"status"});
  EXPECT_EQ(text.exit, 2);
  EXPECT_NE(text.out.find("not in force"), std::string::npos) << text.out;
  EXPECT_EQ(fw.json({"status"}).at("present"), false);
}

TEST_P(Status, CountsWhatWasOpenAcceptedRefusedAndDropped) {
  fw.apply("[ports]\ntcp = [22, 80, \"8000-8100\"]\nudp = [5000]\n");
  EXPECT_EQ(served(from(1).tries(host(), {22}, {7, {}, 700ms})), 5u);
  EXPECT_EQ(from(2).tcp(host(), 22), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 8050), Outcome::served);
  EXPECT_EQ(from(2).udp(host(), 5000), Outcome::served);
  EXPECT_EQ(from(2).udp(host(), 5001, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 8200, kShort), Outcome::timed_out);

  const json::value status = fw.json({"status"});
  EXPECT_EQ(status.at("present"), true);
  EXPECT_EQ(status.at("equal"), true);
  std::map<std::string, int> ports;
  for (const json::value& port : status.at("ports").as_array()) {
    ports[std::string(port.at("port").as_string())] = port.at("new_flows").to_number<int>();
  }
  EXPECT_GE(ports["tcp/22"], 6);
  EXPECT_EQ(ports["tcp/8000-8100"], 1);
  EXPECT_EQ(ports["tcp/80"], 0);
  EXPECT_EQ(ports["udp/5000"], 1);
  const json::value* ssh = nullptr;
  for (const json::value& limit : status.at("limits").as_array()) {
    if (limit.at("name").as_string() == "ssh") ssh = &limit;
  }
  ASSERT_NE(ssh, nullptr);
  EXPECT_EQ(ssh->at("accepted"), 6);
  EXPECT_EQ(ssh->at("refused"), 2);
  EXPECT_EQ(ssh->at("sources"), 2);
  EXPECT_EQ(status.at("dropped").at("closed"), 2);

  const Output text = fw.must({"status"});
  for (const char* word : {"ssh", "5/10s", "tcp/8000-8100", "to closed ports"}) {
    EXPECT_NE(text.out.find(word), std::string::npos) << word << " is not in\n" << text.out;
  }
}

TEST_P(Status, CountsOnThroughReapplies) {
  fw.apply();
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 8050, kShort), Outcome::timed_out);
  fw.apply("[mail]\nenabled = true\n[ports]\ntcp = [22, 80, 8051]\n");
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
  const json::value status = fw.json({"status"});
  EXPECT_EQ(status.at("dropped").at("closed"), 1);
  for (const json::value& port : status.at("ports").as_array()) {
    if (port.at("port").as_string() != "tcp/80") continue;
    EXPECT_EQ(port.at("new_flows"), 2);
  }
}

TEST_P(Status, ShowsBlocksAndLists) {
  fw.file("bad.txt", to_string(client(family(), 7)) + "\n");
  fw.apply("[[list]]\nname = \"known-bad\"\nfile = \"bad.txt\"\naction = \"block\"\n");
  fw.must({"block", to_string(client(family(), 8)), "--for", "1h", "--reason", "guessing"});
  EXPECT_EQ(from(7).tcp(host(), 80, kShort), Outcome::timed_out);
  EXPECT_EQ(from(8).tcp(host(), 80, kShort), Outcome::timed_out);
  const json::value status = fw.json({"status"});
  EXPECT_EQ(status.at("dropped").at("listed"), 1);
  EXPECT_EQ(status.at("dropped").at("blocked"), 1);
  const Output text = fw.must({"status"});
  for (const std::string& word :
       std::vector<std::string>{to_string(client(family(), 8)), "guessing", " left", "known-bad"}) {
    EXPECT_NE(text.out.find(word), std::string::npos) << word << " is not in\n" << text.out;
  }
}

}  // namespace
}  // namespace lab
