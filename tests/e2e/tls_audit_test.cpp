// audit tls against a real nginx, and servers that behave badly; testssl.sh and sslscan as judges.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/real_servers.hpp"
#include "tests/e2e/testssl.hpp"
#include "tests/e2e/tls.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAreArray;
using Values = std::vector<std::string>;

/// What one audit said.
struct Seen {
  int exit = 0;
  std::string grade;
  std::map<std::string, Values> rows;
  std::set<std::string> rules;  ///< of findings
};

/// The namespace, its nginx and the program live as long as the suite: they take a second to begin.
class TlsLab {
 public:
  static TlsLab& get() {
    static TlsLab lab;
    return lab;
  }
  Namespace there;
  TlsServer server{there};
  Firewall fw{there};
};

class TlsAudit : public testing::TestWithParam<Family> {
 protected:
  static std::string address() { return GetParam() == Family::ipv4 ? "127.0.0.1" : "::1"; }

  Output audit(int port, Values more = {}) const {
    Values words{"audit",
                 "tls",
                 std::string(kTlsName) + ":" + std::to_string(port),
                 "--address",
                 address(),
                 "--ca",
                 lab.server.file("root.pem")};
    words.insert(words.end(), more.begin(), more.end());
    return lab.fw.run(words);
  }
  Seen seen(int port, Values more = {}) const {
    more.emplace_back("--json");
    const Output output = audit(port, more);
    Seen all;
    all.exit = output.exit;
    if (output.out.empty()) {
      ADD_FAILURE() << to_string(output);
      return all;
    }
    const json::value answer = json::parse(output.out);
    const json::object& sheet = answer.at("sheets").as_array().at(0).as_object();
    all.grade = sheet.at("grade").as_string();
    for (const json::value& row : sheet.at("rows").as_array()) {
      Values& values = all.rows[std::string(row.at("name").as_string())];
      for (const json::value& one : row.at("values").as_array())
        values.emplace_back(one.as_string());
    }
    for (const json::value& finding : answer.at("findings").as_array())
      all.rules.emplace(finding.at("rule").as_string());
    return all;
  }

  TlsLab& lab = TlsLab::get();
};
BOTH_FAMILIES(TlsAudit);

TEST_P(TlsAudit, GradesEachSiteByBothRuleSets) {
  for (const TlsSite& site : kTlsSites) {
    const int port = TlsServer::port_of(site.name);
    EXPECT_EQ(seen(port, {"--rules", "2009q"}).grade, site.grade_q) << site.name;
    const Seen r = seen(port);
    EXPECT_EQ(r.grade, site.grade_r) << site.name;
    // Each of these servers has one site, which any name reaches.
    std::set<std::string> rules = site.rules;
    rules.insert("tls-unknown-name");
    EXPECT_EQ(r.rules, rules) << site.name;
  }
}

TEST_P(TlsAudit, FindsNothingToSayOfAGoodSite) {
  const Seen good = seen(443);
  EXPECT_EQ(good.exit, 0);
  EXPECT_EQ(good.grade, "A+");
  EXPECT_THAT(good.rules, testing::IsEmpty());
  EXPECT_THAT(good.rows.at("port 80"), ElementsAre("redirects to https"));
  EXPECT_THAT(good.rows.at("unknown name"), ElementsAre("refused"));
  EXPECT_THAT(good.rows.at("headers"), ElementsAre("as they should be"));
  EXPECT_THAT(good.rows.at("names"), ElementsAre("wiki.example.org"));
  EXPECT_THAT(good.rows.at("protocols"), ElementsAre("TLS 1.2", "TLS 1.3"));
  EXPECT_THAT(good.rows.at("not tested"), IsSupersetOf({"Heartbleed", "ROBOT"}));
}

TEST_P(TlsAudit, PrintsATableOf80Columns) {
  const Output output = audit(443);
  EXPECT_THAT(output.out, HasSubstr("wiki.example.org:443  grade A+"));
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST_P(TlsAudit, TakesNoTimeToSpeakOf) {
  const auto since = Clock::now();
  seen(TlsServer::port_of("tls10"));
  EXPECT_LT(seconds_of(Clock::now() - since), 5.0);
}

TEST_P(TlsAudit, SeesTheCertificateOfEachKindOfKey) {
  const Seen both = seen(TlsServer::port_of("two-keys"));
  EXPECT_THAT(both.rows.at("certificate"),
              testing::UnorderedElementsAre("good of wiki", "rsa of wiki"));
}

TEST_P(TlsAudit, TrustsNobodyWhoWasNotNamed) {
  const Output output = lab.fw.run({"audit", "tls", std::string(kTlsName), "--address", address()});
  EXPECT_EQ(output.exit, 11);
  EXPECT_THAT(output.out, HasSubstr("grade T"));
  EXPECT_THAT(output.out, HasSubstr("the certificate's issuer is not trusted"));
}

/// OpenSSL has no RC4 and 3DES any more; GnuTLS has.
TEST_P(TlsAudit, FindsTheCiphersThatOpensslForgot) {
  const Process gnutls(lab.there,
                       {"gnutls-serv", "--http", "--port", "9100", "--x509certfile",
                        lab.server.file("rsa.pem"), "--x509keyfile", lab.server.file("rsa.key"),
                        "--priority", "NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:+3DES-CBC:+ARCFOUR-128"});
  ASSERT_TRUE(eventually([&] { return lab.server.listens(9100); })) << gnutls.err_so_far();
  const Seen old = seen(9100);
  EXPECT_EQ(old.grade, "C");
  EXPECT_THAT(old.rules, IsSupersetOf({"tls-rc4", "tls-64-bit-blocks", "tls-old-version"}));
  EXPECT_THAT(old.rows.at("suites"), IsSupersetOf({"TLS 1.0 TLS_RSA_WITH_RC4_128_SHA",
                                                   "TLS 1.2 TLS_RSA_WITH_3DES_EDE_CBC_SHA"}));
}

/// A server in Python, on a port of the namespace.
constexpr const char* kBadServer = R"(
import socket, ssl, sys, threading, time
what, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/good.pem", folder + "/good.key")
def serve(connection):
    try:
        if what == "silent":
            time.sleep(60)
        elif what == "noise":
            while True:
                connection.sendall(b"\x16\x03\x03\x40\x00" + bytes(16384))
        elif what == "closes":
            connection.close()
        else:
            session = context.wrap_socket(connection, server_side=True)
            session.recv(4096)
            session.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                session.sendall(b"X-Endless: " + b"x" * 4000 + b"\r\n")
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
)";

class BadServer {
 public:
  BadServer(const TlsLab& lab, const std::string& what, int port)
      : process_(lab.there,
                 {"python3", "-c", kBadServer, what, std::to_string(port), lab.server.file("")}) {
    if (!eventually([&] { return lab.server.listens(port); })) fail(process_.err_so_far());
  }

 private:
  Process process_;
};

TEST_P(TlsAudit, ServersThatNeverAnswerTakeSecondsNotHours) {
  for (const auto& [what, said] : std::map<std::string, std::string>{
           {"silent", "accepts connections and says nothing"},
           {"closes", "closes every connection"},
           {"noise", "refuses every version of TLS, or does not speak it"}}) {
    const BadServer server(lab, what, 9000);
    const auto since = Clock::now();
    const Output output = audit(9000);
    EXPECT_EQ(output.exit, 1) << what;
    EXPECT_THAT(output.err, HasSubstr(said));
    EXPECT_LT(seconds_of(Clock::now() - since), 30.0) << what;
  }
}

TEST_P(TlsAudit, EndlessHeadersHaveABound) {
  const BadServer server(lab, "headers", 9001);
  const Seen all = seen(9001);
  EXPECT_THAT(all.rows.at("http"), ElementsAre("its headers are longer than 64 KiB"));
  EXPECT_EQ(all.grade, "A");
}

TEST_P(TlsAudit, AChainOfAThousandCertificatesHasABound) {
  const Output output = audit(TlsServer::port_of_endless_chain());
  EXPECT_EQ(output.exit, 1);
  EXPECT_THAT(output.err, HasSubstr("shows no certificate"));
}

TEST_P(TlsAudit, SaysWhereNobodyListens) {
  const Output output = audit(9);
  EXPECT_EQ(output.exit, 1);
  EXPECT_THAT(output.err, HasSubstr("Connection refused"));
}

TEST_P(TlsAudit, SomeHostsOfManyAreEnoughForAReport) {
  const Output output = audit(443, {"wiki.example.org:9"});
  EXPECT_EQ(output.exit, 3);
  EXPECT_THAT(output.out, HasSubstr("1 server: nothing found"));
}

/// A server's script of real_servers.hpp, in a folder of its own instead of a container.
std::string in_folder(std::string script, const TempDir& folder,
                      const std::vector<std::pair<std::string, std::string>>& changes) {
  const auto replace = [&script](const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = script.find(from, at)) != std::string::npos; at += to.size())
      script.replace(at, from.size(), to);
  };
  for (const auto& [from, to] : changes) replace(from, to);
  replace("/state", folder.path());
  return "chmod 755 " + folder.path() + "\n" + script;
}

TEST_P(TlsAudit, AsksMailServersForTlsAndGivesNoGrade) {
  const TempDir folder;
  const Process postfix(
      lab.there, {"sh", "-ec",
                  in_folder(kPostfixScript, folder,
                            {{"maillog_file = /dev/stdout",
                              "maillog_file = /state/log\nmaillog_file_prefixes = /tmp"},
                             {"anvil unix", "tlsmgr unix - - n - 1 tlsmgr\nanvil unix"},
                             {"alias_maps =",
                              "alias_maps =\nsmtpd_tls_security_level = may\n"
                              "smtpd_tls_cert_file = " +
                                  lab.server.file("good.pem") +
                                  "\nsmtpd_tls_key_file = " + lab.server.file("good.key")}})});
  ASSERT_TRUE(eventually([&] { return lab.server.listens(587); })) << postfix.err_so_far();
  const Seen smtp = seen(587, {"--starttls", "smtp"});
  ASSERT_TRUE(smtp.rows.contains("protocols")) << read_file(folder / "log");
  EXPECT_EQ(smtp.grade, "");
  EXPECT_THAT(smtp.rows.at("protocols"), Contains("TLS 1.3"));
  EXPECT_THAT(smtp.rows.at("chain"), ElementsAre("2 certificates, trusted"));
  EXPECT_FALSE(smtp.rows.contains("scores"));
  EXPECT_THAT(smtp.rows.at("suites"), Contains("TLS 1.2 TLS_ECDH_anon_WITH_AES_128_CBC_SHA"));
  EXPECT_THAT(smtp.rules,
              Not(Contains(testing::AnyOf("tls-no-hsts", "tls-anonymous", "tls-weak-key"))));

  const Output wrong = audit(587, {"--starttls", "imap"});
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_THAT(wrong.err, HasSubstr("answered"));
}

TEST_P(TlsAudit, AsksDovecotForTls) {
  const TempDir folder;
  const Process dovecot(
      lab.there, {"sh", "-ec", in_folder(kDovecotScript, folder, {{"port = 0", "port = 143"}})});
  ASSERT_TRUE(eventually([&] { return lab.server.listens(4190) && lab.server.listens(143); }))
      << dovecot.err_so_far();
  for (const auto& [protocol, port] : std::map<std::string, int>{{"imap", 143}, {"sieve", 4190}}) {
    const Seen all = seen(port, {"--starttls", protocol});
    EXPECT_EQ(all.grade, "") << protocol;
    EXPECT_THAT(all.rows.at("protocols"), Contains("TLS 1.3")) << protocol;
    EXPECT_THAT(all.rules, IsSupersetOf({"tls-untrusted", "tls-wrong-name"})) << protocol;
  }
}

/// IANA's names of suites by OpenSSL's, which sslscan prints.
std::map<std::string, std::string> iana_names(const Namespace& where) {
  std::istringstream lines(
      must_run(where, {"openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"}));
  std::map<std::string, std::string> names;
  std::string iana, dash, name, rest;
  while (lines >> iana >> dash >> name && std::getline(lines, rest)) names[name] = iana;
  return names;
}

TEST_P(TlsAudit, SslscanSeesTheSame) {
  for (const char* name : {"tls13", "intermediate", "tls10", "old-only", "no-forward-secrecy"}) {
    const int port = TlsServer::port_of(name);
    const std::string host = GetParam() == Family::ipv4 ? "127.0.0.1" : "[::1]";
    const std::string xml = must_run(
        lab.there, {"sslscan", "--no-colour", "--no-heartbleed", "--xml=-",
                    std::string("--sni-name=") + kTlsName, host + ":" + std::to_string(port)});
    std::set<std::string> theirs;
    const auto names = iana_names(lab.there);
    for (std::size_t at = 0; (at = xml.find("<cipher ", at)) != std::string::npos; ++at) {
      const auto value = [&](const std::string& key) {
        const auto from = xml.find(key + "=\"", at) + key.size() + 2;
        return xml.substr(from, xml.find('"', from) - from);
      };
      std::string version = value("sslversion");
      std::replace(version.begin(), version.end(), 'v', ' ');
      const auto known = names.find(value("cipher"));
      theirs.insert(version + " " + (known != names.end() ? known->second : value("cipher")));
    }
    const Values ours = seen(port).rows.at("suites");
    EXPECT_EQ(std::set<std::string>(ours.begin(), ours.end()), theirs) << name << "\n" << xml;
  }
}

/// A full run takes it a minute a site, so this runs when it is asked for:
/// `e2e_tests --gtest_also_run_disabled_tests --gtest_filter=*SameLetters`. CLOUDRON_FW_TESTSSL
/// names sites, or all of them. DockerSite has it grade one in each run.
TEST(TlsAuditPeer, DISABLED_TestsslGivesTheSameLetters) {
  const char* const asked = std::getenv("CLOUDRON_FW_TESTSSL");
  const std::string wanted = asked != nullptr ? asked : "all";
  const TlsLab& lab = TlsLab::get();
  for (const TlsSite& site : kTlsSites) {
    const std::string padded = " " + wanted + " ";
    if (wanted != "all" && padded.find(" " + site.name + " ") == std::string::npos) continue;
    const auto since = Clock::now();
    const std::string letter =
        testssl_grade(lab.there, lab.server.file("root.pem"), "127.0.0.1",
                      std::string(kTlsName) + ":" + std::to_string(TlsServer::port_of(site.name)));
    EXPECT_EQ(letter, site.testssl.empty() ? site.grade_q : site.testssl) << site.name;
    std::cout << site.name << ": " << letter << ", " << seconds_of(Clock::now() - since) << " s\n";
  }
}

}  // namespace
}  // namespace lab
