// The JSON of reports and requests: both ways, and as docs/json.md says.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/wire/wire.hpp"

#include <fstream>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "fw/host/host_facts.hpp"
#include "fw/ops/requests.hpp"
#include "fw/ops/schemas.hpp"
#include "fw/wire/rfc3339.hpp"

namespace fw::wire {
namespace {

using namespace std::chrono_literals;

IpRange range(const char* text) { return parse_ip_range(text).value(); }
WallTime time(const char* text) { return parse_rfc3339(text).value(); }

/// Encoded, written, read and decoded, it is told the same again.
template <class T>
void survives(const T& value) {
  const std::string text = json::serialize(to_json(value));
  const auto back = from_json<T>(json::parse(text));
  ASSERT_TRUE(back) << to_string(back.error()) << " in " << text;
  EXPECT_EQ(json::serialize(to_json(*back)), text);
  if constexpr (std::equality_comparable<T>) {
    EXPECT_EQ(*back, value) << text;
  }
}

Block block(const char* address) {
  return {range(address), time("2126-11-27T10:30:00.250Z"), "guessing \"passwords\"",
          "fail2ban sshd", time("2026-11-27T10:00:00Z")};
}

Status full_status() {
  Status out;
  out.present = true;
  out.differences = 3;
  out.ports = {{"tcp/443", 12}};
  out.limits = {{{"ssh", {5, 10s}, 1, 2, 3, 4, 5}, {"tcp/22"}, Source::apps, LimitKey::app}};
  out.dropped = {{"closed", UINT64_MAX}};
  out.unlabelled = 9;
  ListReport list;
  list.name = "drop";
  list.file = "/etc/drop.txt";
  list.action = ListAction::allow;
  list.entries = 7;
  list.bad_count = 2;
  list.bad = {{4, "no address"}};
  list.last_good = true;
  list.problem = "has bad lines";
  out.lists = {list};
  out.settings = {{SettingHarm::high, "net.ipv4.tcp_syncookies", -1, "means", "remedy"}};
  out.warnings = {"another program"};
  return out;
}

Trouble full_trouble() {
  Trouble out;
  out.panic = PanicState{time("2026-11-27T10:00:00Z"), {{parse_ip("2001:db8::7").value()}}};
  out.nobody_gets_in = true;
  out.trial = Trouble::Trial{"/etc/policy.toml", time("2026-11-27T10:01:00Z"), 59'001ms};
  return out;
}

TEST(Wire, WhatIsWrittenIsReadBack) {
  survives(block("203.0.113.7"));
  Block endless = block("2001:db8::/64");
  endless.until.reset();
  survives(endless);
  survives(full_trouble());
  survives(Trouble{});
  survives(Activity{7,
                    time("2026-11-27T10:00:00.001Z"),
                    "block",
                    {"ann", 1000, "pts/0", ""},
                    "one line",
                    R"({"count":1})"});
  survives(Finding{FindingSeverity::high, "docker-socket", "wiki", "what", "impact", "fix", ""});
  survives(AuditSheet{"wiki.example.org:443", "A+", {{"protocols", {"TLS 1.2", "TLS 1.3"}}}});
  survives(Actor{"ann", UINT32_MAX, "pts/3", "203.0.113.9:51234"});
  survives(Error{ErrorCode::store, "it is damaged", "limit 'ssh'", {"p.toml", 14, 9}, 5});
  ops::StatusReport report{"p.toml", full_status(), full_trouble(), {{block("198.51.100.1")}, 2}};
  report.rolled_back = time("2026-11-27T10:00:00Z");
  survives(report);
  ops::BlockRequest request;
  request.addresses = {range("203.0.113.7"), range("198.51.100.5-198.51.100.9")};
  request.lasts = 90s;
  request.prefix6 = 64;
  request.force = true;
  survives(request);
  survives(ops::RequestHead{"block", "/var/lib/cloudron-fw", ops::Behalf{"ann", 7, "", ""}});
  survives(ops::UnblockReport{{block("203.0.113.7")},
                              {block("203.0.113.0/24")},
                              {range("203.0.113.9")},
                              true,
                              {"careful"}});
}

TEST(Wire, CountsAreReadBack) {
  Counts counts;
  counts.time = time("2026-11-27T10:00:00Z");
  counts.limits = {{"web", {100, 1s}, 1, 2, 3, 4, 5}};
  counts.busiest = {{range("2001:db8::/64"), 8, 1}};
  counts.apps = {{"wiki", 3}};
  counts.blocks = {{"admin", 2}};
  counts.daemon.last_check = 312us;
  counts.daemon.applies = 4;
  survives(counts);
}

TEST(Wire, TextsOfStrangersAreSafe) {
  Block odd = block("203.0.113.7");
  odd.reason = "\x1b[31m\xff";
  const std::string text = json::serialize(to_json(odd));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NO_THROW((void)json::parse(text));
}

TEST(Wire, AnErrorKeepsItsCode) {
  const Error error{ErrorCode::kernel_busy, "somebody else changed it", {}, {}, 16};
  const auto back = read_answer(json::serialize(answer(error)));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error(), error);
}

TEST(Wire, AnotherVersionIsSaid) {
  for (const char* line : {R"({"ok":true})", R"({"v":2,"ok":true})", R"({"v":1})", "[]", "x",
                           R"({"ok":false,"error":"of an older one"})"}) {
    const auto read = read_answer(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, ErrorCode::unsupported) << line;
    EXPECT_NE(read.error().what.find("of another version"), std::string::npos) << line;
  }
}

TEST(Wire, WhatIsWrongIsNamedByItsPath) {
  const auto why = [](const char* text) {
    const auto read = from_json<ops::BlockRequest>(json::parse(text));
    return read ? std::string("none") : to_string(read.error());
  };
  EXPECT_EQ(why(R"({})"), "\"addresses\" must be there");
  EXPECT_EQ(why(R"({"addresses": []})"), "\"addresses\" must not be empty");
  EXPECT_EQ(why(R"({"addresses": "203.0.113.7"})"), "\"addresses\" must be an array");
  EXPECT_EQ(why(R"({"addresses": ["203.0.113.7", 4]})"),
            "\"addresses[1]\" must be an address, a network or a range");
  EXPECT_NE(why(R"({"addresses": ["203.0.113"]})").find("\"addresses[0]\" must be valid: "),
            std::string::npos);
  EXPECT_EQ(why(R"({"addresses": ["::1"], "prefix6": 129})"),
            "\"prefix6\" must be a whole number from 0 to 128");
  EXPECT_EQ(why(R"({"addresses": ["::1"], "prefix6": -1})"),
            "\"prefix6\" must be a whole number from 0 to 128");
  EXPECT_EQ(why(R"({"addresses": ["::1"], "prefix6": 6.4})"),
            "\"prefix6\" must be a whole number from -2147483648 to 2147483647");
  EXPECT_EQ(why(R"({"addresses": ["::1"], "force": 1})"), "\"force\" must be true or false");
  const auto by = from_json<ops::RequestHead>(json::parse(R"({"do": "x", "by": {"uid": -1}})"));
  ASSERT_FALSE(by);
  EXPECT_EQ(to_string(by.error()), "\"by.uid\" must be a whole number from 0 to 4294967295");
}

/// The text below a heading of docs/json.md, up to the next one.
std::string section(const std::string& heading) {
  std::ifstream file(CLOUDRON_FW_DOCS "/json.md");
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) inside = line == "### " + heading;
    if (inside) text += line + "\n";
  }
  return text;
}

template <class T>
void is_documented(const std::string& heading) {
  const std::string text = section(heading);
  EXPECT_FALSE(text.empty()) << heading;
  for (const std::string& field : field_names<T>()) {
    EXPECT_NE(text.find("`" + field + "`"), std::string::npos) << heading << ": " << field;
  }
}

TEST(Wire, DocumentsNameEveryField) {
  is_documented<Location>("Location");
  is_documented<Error>("Error");
  is_documented<Problem>("Problem");
  is_documented<Block>("Block");
  is_documented<Objection>("Objection");
  is_documented<Difference>("Difference");
  is_documented<ListReport>("List");
  is_documented<LimitCounts>("Limit");
  is_documented<WeakSetting>("Setting");
  is_documented<Finding>("Finding");
  is_documented<AuditSheet>("Sheet");
  is_documented<AuditRow>("Sheet");
  is_documented<Trouble>("Trouble");
  is_documented<Trouble::Trial>("Trouble");
  is_documented<PanicState>("Trouble");
  is_documented<Activity>("Activity");
  is_documented<Counts>("counts");
  is_documented<ops::ApplyOutcome>("apply, plan");
  is_documented<ops::SitesReport>("Sites");
  is_documented<ops::CheckReport>("check");
  is_documented<ops::StatusReport>("status");
  is_documented<ops::VerifyReport>("verify");
  is_documented<ops::BlockReport>("block");
  is_documented<ops::UnblockReport>("unblock");
  is_documented<ops::BlockList>("blocks");
  is_documented<ops::TrialEnded>("confirm, rollback");
  is_documented<ops::PanicReport>("panic");
  is_documented<ops::ResetReport>("reset");
  is_documented<ops::ExplainReport>("explain");
}

TEST(Rfc3339, IsReadBackAndTakesItsForms) {
  for (const std::int64_t ms : {0L, 1L, -1L, 951'782'400'000L, 4'102'444'799'999L}) {
    const WallTime when{std::chrono::milliseconds{ms}};
    EXPECT_EQ(parse_rfc3339(rfc3339(when)), when) << rfc3339(when);
  }
  EXPECT_EQ(rfc3339(WallTime{951'782'400'007ms}), "2000-02-29T00:00:00.007Z");
  EXPECT_EQ(parse_rfc3339("2026-11-27T12:30:00+02:00"), time("2026-11-27T10:30:00Z"));
  EXPECT_EQ(parse_rfc3339("2026-11-27t10:30:00.1234567z"), time("2026-11-27T10:30:00.123Z"));
}

TEST(Rfc3339, OtherTextsAreNone) {
  for (const char* text : {"", "2026-11-27", "2026-11-27 10:30:00Z", "2026-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z", "2026-11-27T24:00:00Z", "2026-11-27T10:60:00Z",
                           "2026-11-27T10:30:00", "2026-11-27T10:30:00.Z", "2026-11-27T10:30:00Zx",
                           "2026-11-27T10:30:00+2:00", "20261127T103000Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fw::wire
