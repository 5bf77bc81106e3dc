// The grade of a server by both rule sets, row by row; hosts' names, headers, certificates.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/plugins/tls/audit/grade.hpp"
#include "fw/plugins/tls/audit/host.hpp"
#include "fw/plugins/tls/audit/http.hpp"
#include "fw/plugins/tls/audit/plugin.hpp"
#include "tests/unit/samples.hpp"

namespace fw::tls {
namespace {

using std::string;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr auto kRsa = KeyStrength::Kind::rsa;
constexpr auto kEc = KeyStrength::Kind::elliptic;
constexpr std::uint32_t kGcm128 = 0xc02f;
constexpr std::uint32_t kGcm256 = 0xc030;
constexpr std::uint32_t kCbc128 = 0xc013;

/// A server of which nothing is to be said.
GradeFacts good() {
  GradeFacts facts;
  facts.offered = {{Version::tls12, {kGcm128, kGcm256}}, {Version::tls13, {0x1301, 0x1302}}};
  facts.keys = {{kEc, 256}};
  facts.hsts = Hsts::long_enough;
  return facts;
}

struct Row {
  const char* what;
  std::function<void(GradeFacts&)> change;
  const char* q;                ///< the letter by 2009q
  const char* r;                ///< by 2009r
  std::set<string> rules = {};  ///< of the caps in 2009r
};

void offer(GradeFacts& facts, Version version, std::vector<std::uint32_t> suites) {
  facts.offered.insert(facts.offered.begin(), {version, std::move(suites)});
}
void only(GradeFacts& facts, Version version, std::vector<std::uint32_t> suites) {
  facts.offered = {{version, std::move(suites)}};
}

const Row kRows[] = {
    {"a good one", [](GradeFacts&) {}, "A+", "A+"},
    {"RSA 2048",
     [](GradeFacts& f) {
       f.keys = {{kRsa, 2048}};
     },
     "A+", "A+"},
    {"TLS 1.3 alone", [](GradeFacts& f) { only(f, Version::tls13, {0x1301}); }, "A+", "A+"},
    {"TLS 1.2 alone",
     [](GradeFacts& f) { only(f, Version::tls12, {kGcm128}); },
     "A+",
     "A-",
     {"tls-no-tls13"}},
    {"no HSTS", [](GradeFacts& f) { f.hsts = Hsts::absent; }, "A", "A", {"tls-no-hsts"}},
    {"invalid HSTS", [](GradeFacts& f) { f.hsts = Hsts::invalid; }, "A", "A", {"tls-no-hsts"}},
    {"HSTS switched off", [](GradeFacts& f) { f.hsts = Hsts::zero; }, "A", "A", {"tls-no-hsts"}},
    {"short HSTS", [](GradeFacts& f) { f.hsts = Hsts::too_short; }, "A", "A-", {"tls-short-hsts"}},
    {"insecure renegotiation",
     [](GradeFacts& f) { f.renegotiates_safely = false; },
     "A-",
     "A-",
     {"tls-renegotiation"}},
    {"compression", [](GradeFacts& f) { f.compression = true; }, "C", "C", {"tls-compression"}},
    {"TLS 1.1",
     [](GradeFacts& f) { offer(f, Version::tls11, {kCbc128}); },
     "B",
     "B",
     {"tls-old-version"}},
    {"TLS 1.0",
     [](GradeFacts& f) { offer(f, Version::tls10, {kCbc128}); },
     "B",
     "B",
     {"tls-old-version"}},
    {"SSL 3",
     [](GradeFacts& f) { offer(f, Version::ssl3, {0x002f}); },
     "B",
     "B",
     {"tls-old-version"}},
    {"SSL 2",
     [](GradeFacts& f) { offer(f, Version::ssl2, {0x010080}); },
     "F",
     "F",
     {"tls-ssl2", "tls-rc4"}},
    {"SSL 3 alone",
     [](GradeFacts& f) { only(f, Version::ssl3, {0x002f}); },
     "F",
     "F",
     {"tls-ssl3", "tls-no-modern-version", "tls-old-version", "tls-no-tls13",
      "tls-no-forward-secrecy", "tls-no-aead"}},
    {"TLS 1.1 at best",
     [](GradeFacts& f) { only(f, Version::tls11, {kCbc128}); },
     "C",
     "C",
     {"tls-no-modern-version", "tls-old-version", "tls-no-tls13", "tls-no-aead"}},
    {"TLS 1.0 at best",
     [](GradeFacts& f) { only(f, Version::tls10, {kCbc128}); },
     "C",
     "C",
     {"tls-no-modern-version", "tls-old-version", "tls-no-tls13", "tls-no-aead"}},
    {"no forward secrecy",
     [](GradeFacts& f) { only(f, Version::tls12, {0x009c}); },
     "B",
     "B",
     {"tls-no-forward-secrecy", "tls-no-tls13"}},
    {"no AEAD",
     [](GradeFacts& f) { only(f, Version::tls12, {kCbc128}); },
     "B",
     "B",
     {"tls-no-aead", "tls-no-tls13"}},
    {"RC4 with TLS 1.0",
     [](GradeFacts& f) { offer(f, Version::tls10, {0x0005}); },
     "B",
     "B",
     {"tls-rc4", "tls-old-version"}},
    {"RC4 with TLS 1.2",
     [](GradeFacts& f) { f.offered[0].suites.push_back(0x0005); },
     "C",
     "C",
     {"tls-rc4"}},
    {"3DES with TLS 1.0",
     [](GradeFacts& f) { offer(f, Version::tls10, {0x000a}); },
     "B",
     "B",
     {"tls-old-version"}},
    {"3DES with TLS 1.2",
     [](GradeFacts& f) { f.offered[0].suites.push_back(0x000a); },
     "C",
     "C",
     {"tls-64-bit-blocks"}},
    {"export",
     [](GradeFacts& f) { offer(f, Version::tls10, {0x0008}); },
     "F",
     "F",
     {"tls-export", "tls-weak-cipher", "tls-old-version"}},
    {"DES",
     [](GradeFacts& f) { offer(f, Version::tls10, {0x0009}); },
     "F",
     "F",
     {"tls-weak-cipher", "tls-old-version"}},
    {"no encryption",
     [](GradeFacts& f) { f.offered[0].suites.push_back(0x003b); },
     "F",
     "F",
     {"tls-weak-cipher"}},
    {"anonymous",
     [](GradeFacts& f) { f.offered[0].suites.push_back(0xc018); },
     "F",
     "F",
     {"tls-anonymous", "tls-weak-key"}},
    {"RSA 1024",
     [](GradeFacts& f) {
       f.keys = {{kRsa, 1024}};
     },
     "B",
     "B",
     {"tls-weak-key"}},
    {"DH 1024 beside a good key",
     [](GradeFacts& f) {
       f.keys.push_back({kRsa, 1024});
     },
     "B",
     "B",
     {"tls-weak-key"}},
    {"RSA 768",
     [](GradeFacts& f) {
       f.keys = {{kRsa, 768}};
     },
     "F",
     "F",
     {"tls-weak-key"}},
    {"RSA 512",
     [](GradeFacts& f) {
       f.keys = {{kRsa, 512}};
     },
     "F",
     "F",
     {"tls-weak-key"}},
    {"EC 160",
     [](GradeFacts& f) {
       f.keys = {{kEc, 160}};
     },
     "B",
     "B",
     {"tls-weak-key"}},
    {"untrusted", [](GradeFacts& f) { f.trust = Trust::untrusted; }, "T", "T", {"tls-untrusted"}},
    {"self-signed",
     [](GradeFacts& f) { f.trust = Trust::self_signed; },
     "T",
     "T",
     {"tls-untrusted"}},
    {"expired", [](GradeFacts& f) { f.trust = Trust::expired; }, "T", "T", {"tls-untrusted"}},
    {"not yet valid", [](GradeFacts& f) { f.trust = Trust::not_yet; }, "T", "T", {"tls-untrusted"}},
    {"a broken chain", [](GradeFacts& f) { f.trust = Trust::broken; }, "T", "T", {"tls-untrusted"}},
    {"an incomplete chain",
     [](GradeFacts& f) { f.trust = Trust::incomplete; },
     "T",
     "B",
     {"tls-incomplete-chain"}},
    {"SHA-1", [](GradeFacts& f) { f.sha1 = true; }, "T", "T", {"tls-sha1"}},
    {"MD5", [](GradeFacts& f) { f.md5 = true; }, "F", "F", {"tls-md5"}},
    {"another name", [](GradeFacts& f) { f.name_fits = false; }, "M", "M", {"tls-wrong-name"}},
    {"another name, and untrusted",
     [](GradeFacts& f) {
       f.name_fits = false;
       f.trust = Trust::untrusted;
     },
     "T",
     "T",
     {"tls-wrong-name", "tls-untrusted"}},
    {"another name, and SSL 2",
     [](GradeFacts& f) {
       f.name_fits = false;
       offer(f, Version::ssl2, {0x010080});
     },
     "M",
     "M",
     {"tls-wrong-name", "tls-ssl2", "tls-rc4"}},
    {"nothing at all", [](GradeFacts& f) { f.offered.clear(); }, "F", "F"},
};

TEST(TlsGrade, FollowsTheTable) {
  for (const Row& row : kRows) {
    GradeFacts facts = good();
    row.change(facts);
    EXPECT_STREQ(to_string(grade(facts, Rules::r2009q).letter), row.q) << row.what;
    const Grade r = grade(facts, Rules::r2009r);
    EXPECT_STREQ(to_string(r.letter), row.r) << row.what;
    std::set<string> rules;
    for (const Cap& cap : r.caps) {
      rules.insert(cap.rule);
      EXPECT_FALSE(cap.reason.empty() || cap.impact.empty() || cap.fix.empty()) << row.what;
    }
    EXPECT_EQ(rules, row.rules) << row.what;
  }
}

TEST(TlsGrade, PointsAreThoseOfTheGuide) {
  struct Key {
    KeyStrength key;
    int points;
  };
  for (const auto& [key, points] :
       {Key{{kRsa, 511}, 20}, Key{{kRsa, 512}, 40}, Key{{kRsa, 1023}, 40}, Key{{kRsa, 1024}, 80},
        Key{{kRsa, 2047}, 80}, Key{{kRsa, 2048}, 90}, Key{{kRsa, 4095}, 90}, Key{{kRsa, 4096}, 100},
        Key{{kEc, 109}, 20}, Key{{kEc, 110}, 40}, Key{{kEc, 122}, 40}, Key{{kEc, 123}, 80},
        Key{{kEc, 162}, 80}, Key{{kEc, 163}, 90}, Key{{kEc, 224}, 90}, Key{{kEc, 225}, 100}}) {
    EXPECT_EQ(key_points(key), points) << key.bits;
  }
  EXPECT_EQ(cipher_points(0), 0);
  EXPECT_EQ(cipher_points(127), 20);
  EXPECT_EQ(cipher_points(128), 80);
  EXPECT_EQ(cipher_points(255), 80);
  EXPECT_EQ(cipher_points(256), 100);
}

TEST(TlsGrade, ScoresAreMeansOfBestAndWorst) {
  GradeFacts facts = good();
  offer(facts, Version::tls10, {kCbc128});
  facts.keys.push_back({kRsa, 2048});
  const Grade result = grade(facts, Rules::r2009r);
  EXPECT_EQ(result.protocol, 95);
  EXPECT_EQ(result.key, 90);
  EXPECT_EQ(result.cipher, 90);
  EXPECT_EQ(result.total, 28 + 27 + 36);
  facts.offered[0].suites.push_back(0x003b);  // without encryption
  EXPECT_EQ(grade(facts, Rules::r2009r).cipher, 50);
  facts.offered = {{Version::tls12, {0x003b}}};
  EXPECT_EQ(grade(facts, Rules::r2009r).total, 0);
}

TEST(TlsGrade, SaysWhatItWouldBeWithTrust) {
  GradeFacts facts = good();
  facts.trust = Trust::self_signed;
  facts.hsts = Hsts::absent;
  const Grade result = grade(facts, Rules::r2009r);
  EXPECT_EQ(result.letter, Letter::trust);
  EXPECT_EQ(result.if_trusted, Letter::a);
  EXPECT_EQ(result.caps.front().letter, Letter::trust);
}

TEST(TlsHttp, HeadsAreRead) {
  const string text =
      "HTTP/1.1 308 Permanent Redirect\r\nServer: nginx\r\nLocation:  https://wiki.example.org/ "
      "\r\n"
      "no colon\r\nX-Frame-Options: SAMEORIGIN\r\n\r\nbody: no\r\n\r\n";
  leave_sample("hello", text);
  const auto head = parse_head(text);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 308);
  ASSERT_NE(head->find("location"), nullptr);
  EXPECT_EQ(*head->find("location"), "https://wiki.example.org/");
  EXPECT_EQ(head->find("body"), nullptr);
  for (const char* bad : {"", "HTTP/1.1 200 OK\r\nServer: nginx\r\n", "SSH-2.0\r\n\r\n",
                          "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/2 200\r\n\r\n"}) {
    EXPECT_FALSE(parse_head(bad)) << bad;
  }
}

TEST(TlsHttp, HstsIsReadAsBrowsersDo) {
  const auto of = [](const string& value) { return hsts_of(&value); };
  EXPECT_EQ(hsts_of(nullptr), Hsts::absent);
  EXPECT_EQ(of("max-age=63072000"), Hsts::long_enough);
  EXPECT_EQ(of("max-age=15552000"), Hsts::long_enough);
  EXPECT_EQ(of("max-age=15551999"), Hsts::too_short);
  EXPECT_EQ(of("includeSubDomains; Max-Age=\"63072000\"; preload"), Hsts::long_enough);
  EXPECT_EQ(of("max-age=99999999999999999999999"), Hsts::long_enough);
  EXPECT_EQ(of("max-age=0"), Hsts::zero);
  for (const char* bad :
       {"", "max-age", "max-age=", "max-age=1y", "includeSubDomains", "max-age=-1"})
    EXPECT_EQ(of(bad), Hsts::invalid) << bad;
}

TEST(TlsHttp, HeadersAndCookiesAreComparedWithThePromise) {
  const auto head = parse_head(
      "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
      "X-XSS-Protection: 1; mode=block\r\nX-Download-Options: noopen\r\n"
      "X-Permitted-Cross-Domain-Policies: all\r\n"
      "Set-Cookie: good=1; Secure; HttpOnly; SameSite=Lax\r\nSet-Cookie: bad=1; path=/; "
      "secure\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_THAT(
      header_flaws(*head, plain_headers({}, {})),
      UnorderedElementsAre(HeaderFlaw{"X-Permitted-Cross-Domain-Policies", "all", "none"},
                           HeaderFlaw{"Referrer-Policy", "", "no-referrer-when-downgrade"}));
  EXPECT_THAT(cookie_flaws(*head), ElementsAre(CookieFlaw{"bad", "HttpOnly, SameSite"}));
}

TEST(TlsHost, NamesAndAddressesAreRead) {
  const auto read = [](const char* text) {
    const auto host = parse_host(text);
    return host ? host->name + " " + std::to_string(host->port) : host.error().what;
  };
  EXPECT_EQ(read("Wiki.Example.org"), "wiki.example.org 0");
  EXPECT_EQ(read("wiki.example.org.:8443"), "wiki.example.org 8443");
  EXPECT_EQ(read("192.0.2.1:443"), "192.0.2.1 443");
  EXPECT_EQ(read("2001:db8::1"), "2001:db8::1 0");
  EXPECT_EQ(read("[2001:db8::1]"), "2001:db8::1 0");
  EXPECT_EQ(read("[2001:db8::1]:8443"), "2001:db8::1 8443");
  for (const string& bad : {string(":443"), string("wiki:0"), string("wiki:65536"),
                            string("wiki:x"), string("a..b"), string("wiki/path"),
                            string("b\xc3\xbc"
                                   "cher.example"),
                            string(64, 'a'), string(300, 'a'), string("a\nb"), string("-", 0)}) {
    EXPECT_FALSE(parse_host(bad)) << bad;
  }
}

TEST(TlsAudit, OptionsThatCannotBeMeantAreRefused) {
  EXPECT_EQ(hosts_complaint("wiki.example.org\nblog.example.org:8443"), "");
  EXPECT_THAT(hosts_complaint("wiki.example.org\nhttps://blog.example.org"),
              HasSubstr("is no name"));
  EXPECT_THAT(rules_complaint("2009z"), HasSubstr("2009r or 2009q"));
  EXPECT_THAT(address_complaint("wiki"), HasSubstr("is no address"));
  EXPECT_THAT(starttls_complaint("ftp"), HasSubstr("smtp, lmtp"));
  const OptionValues none{{"HOST", ""},    {"ca", ""},       {"rules", "2009r"},
                          {"address", ""}, {"starttls", ""}, {"nginx", ""}};
  const Policy policy;
  const auto report = audit({policy, none, {}});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::usage);
  EXPECT_THAT(report.error().what, HasSubstr("name a host"));
}

}  // namespace
}  // namespace fw::tls
