// When certificates are renewed, for lifetimes of 6 to 90 days.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/certs/records.hpp"

namespace fw::certs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

constexpr sys_seconds kIssued{std::chrono::seconds{1'800'000'000}};

Validity lives(days lifetime) { return {kIssued, kIssued + lifetime}; }

TEST(Renewal, IsDueBelowAThirdOrAHalf) {
  for (const auto& [lifetime, due] :
       {std::pair{days{6}, days{3}}, {days{45}, days{30}}, {days{90}, days{60}}})
    EXPECT_EQ(next_renewal(lives(lifetime), {}, 0), kIssued + due) << lifetime.count();
  EXPECT_EQ(next_renewal(lives(days{64}), {}, 0), kIssued + 64 * 24h * 2 / 3);
  EXPECT_EQ(next_renewal(lives(days{9}), {}, 0), kIssued + 108h);
  EXPECT_EQ(next_renewal(lives(days{10}), {}, 0), kIssued + 160h);
}

TEST(Renewal, IsSpreadOverATwentieth) {
  EXPECT_EQ(next_renewal(lives(days{90}), {}, 1), kIssued + days{60} - 108h);
  EXPECT_EQ(next_renewal(lives(days{90}), {}, 0.5), kIssued + days{60} - 54h);
  EXPECT_EQ(next_renewal(lives(days{90}), {}, 7), kIssued + days{60} - 108h);
  EXPECT_LT(next_renewal(lives(days{6}), {}, 1), kIssued + days{3});
}

TEST(Renewal, OfNoneIsDueAtOnce) {
  EXPECT_LE(next_renewal({}, {}, 0), kIssued);
  EXPECT_EQ(next_renewal({}, {1, kIssued, "refused", {}}, 0), kIssued + 1h);
}

TEST(Renewal, BacksOffAfterFailures) {
  const sys_seconds tried = kIssued + days{61};
  const auto after = [&](days lifetime, int failures) {
    return next_renewal(lives(lifetime), {failures, tried, "refused", {}}, 0) - tried;
  };
  EXPECT_EQ(after(days{90}, 1), 1h);
  EXPECT_EQ(after(days{90}, 2), 2h);
  EXPECT_EQ(after(days{90}, 5), 16h);
  EXPECT_EQ(after(days{90}, 6), 24h);
  EXPECT_EQ(after(days{90}, 1'000'000), 24h);
  EXPECT_EQ(after(days{6}, 9), 6h) << "a 24th of its lifetime";
  EXPECT_EQ(after(days{1}, 9), 1h);
}

TEST(Renewal, AFailureLeavesAsManyAttemptsAsThereIsTimeFor) {
  for (const days lifetime : {days{6}, days{45}, days{64}, days{90}}) {
    RenewalRecord record;
    int attempts = 0;
    for (auto at = next_renewal(lives(lifetime), record, 0); at < lives(lifetime).to;
         at = next_renewal(lives(lifetime), record, 0)) {
      record = {record.failures + 1, at, "refused", {}};
      ++attempts;
    }
    EXPECT_GE(attempts, 12) << lifetime.count();
    EXPECT_LE(attempts, 40) << lifetime.count();
  }
}

TEST(Renewal, AlarmsBelowASixth) {
  const Validity validity = lives(days{90});
  EXPECT_FALSE(is_alarming(validity, validity.to - days{15}));
  EXPECT_TRUE(is_alarming(validity, validity.to - days{15} + 1s));
  EXPECT_TRUE(is_alarming(validity, validity.to + days{1}));
}

TEST(Renewal, OfAFailureSomebodyIsToldOnceADay) {
  const sys_seconds now = kIssued;
  EXPECT_FALSE(is_to_be_told({}, now));
  EXPECT_TRUE(is_to_be_told({1, now, "refused", {}}, now));
  EXPECT_FALSE(is_to_be_told({2, now, "refused", now - 1h}, now));
  EXPECT_TRUE(is_to_be_told({9, now, "refused", now - 24h}, now));
}

TEST(Renewal, RecordsAreKept) {
  const RenewalRecords records = {{"nginx", {1, kIssued, "it refuses", kIssued}},
                                  {"wiki.example.org", {12, kIssued + 1h, "a\tb", {}}}};
  EXPECT_EQ(read_records(to_text(records), kIssued + 9h), records);
  EXPECT_EQ(read_records(to_text({}), kIssued), RenewalRecords{});
}

TEST(Renewal, RecordsOfAnotherFormAreNone) {
  const std::string first = to_text({});
  EXPECT_TRUE(read_records("", kIssued).empty());
  EXPECT_TRUE(read_records("something else\nwiki\t1\t2\t3\tx\n", kIssued).empty());
  const RenewalRecords read = read_records(first + "wiki\n-\t-5\tx\n\n", kIssued);
  EXPECT_EQ(read.size(), 2u);
  EXPECT_EQ(read.at("-").failures, 0) << "no negative number";
  std::string many = first;
  for (std::size_t i = 0; i < 3 * kSitesMax; ++i) many += std::to_string(i) + "\t1\t1\t1\tx\n";
  EXPECT_LE(read_records(many, kIssued).size(), kSitesMax);
}

TEST(Renewal, TheReasonIsTheCas) {
  EXPECT_EQ(reason_of("Certbot failed to authenticate some domains.\n  Domain: wiki.example.org\n"
                      "  Type:   connection\n  Detail: 198.18.0.1: refused\n\nAsk for help\n",
                      "x\nacme.messages.Error: urn:ietf:params:acme:error:badNonce :: again\n"),
            "wiki.example.org: 198.18.0.1: refused");
  EXPECT_EQ(reason_of("An unexpected error occurred:\nAttributeError: can't set attribute\n",
                      "1\nacme.messages.Error: urn:ietf:params:acme:error:a :: b\n2\n"
                      "acme.messages.Error: urn:ietf:params:acme:error:rateLimited :: too many\n"),
            "rateLimited :: too many");
  EXPECT_EQ(reason_of("An unexpected error occurred:\nno route\nSee the logfile x\n", ""),
            "no route");
  EXPECT_EQ(reason_of("", ""), "");
  EXPECT_EQ(reason_of("\x1b[31mred\n", "").find('\x1b'), std::string::npos);
  EXPECT_LE(reason_of("Detail: " + std::string(100'000, 'x'), "").size(), 420u);
}

TEST(Renewal, AClockThatWasWrongHoldsNothingUp) {
  const RenewalRecords ahead = {{"a.b", {3, kIssued + days{3650}, "x", kIssued + days{3650}}}};
  const RenewalRecord read = read_records(to_text(ahead), kIssued).at("a.b");
  EXPECT_LE(next_renewal({}, read, 0), kIssued + 4h);
  EXPECT_TRUE(is_to_be_told(read, kIssued + 24h));
}

TEST(Renewal, OneThatDoesNotHelpIsNotRepeatedAtOnce) {
  EXPECT_EQ(next_renewal({}, {0, kIssued, {}, {}}, 0), kIssued + 24h);
}

}  // namespace
}  // namespace fw::certs
