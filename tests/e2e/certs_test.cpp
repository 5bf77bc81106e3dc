// Renewal with a real certbot against a real ACME server (Pebble), which refuses some requests, and
// validates through the rendered nginx (T3).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/e2e/nginx.hpp"
#include "tests/e2e/pebble.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Sites whose certificates come from Pebble.
class Certs : public OverFamily {
 protected:
  Certs() {
    ::mkdir((dir_ / "letsencrypt").c_str(), 0700);
    write_file(dir_ / "letsencrypt/cli.ini", "no-verify-ssl = True\n");
    nginx_.start();
  }

  std::string policy(const std::string& sites) const {
    return fmt::format(
        "[tls]\nacme_server = \"{}\"\n"
        "acme_email = \"admin@example.org\"\nnotify_command = [\"/bin/sh\", \"-c\", "
        "\"echo $1: $2 >>{}/told\", \"notify\"]\n{}",
        pebble_->directory(), dir_.path(), sites);
  }
  static std::string site(const std::string& name) {
    return fmt::format("[[site]]\nname = \"{}\"\nupstream = \"http://127.0.0.1:3000\"\n", name);
  }
  void install() const {
    fw.must({"render", "nginx", "--install", "--nginx", nginx_.folder(), "--letsencrypt",
             dir_ / "letsencrypt", "--webroot", dir_ / "webroot"});
  }
  Output renew(const std::vector<std::string>& more = {}) const {
    if (!std::filesystem::exists(nginx_.folder() + "/conf.d/cloudron-fw.conf")) install();
    std::vector<std::string> words = {"certs", "renew", "--nginx", nginx_.folder()};
    words.insert(words.end(), more.begin(), more.end());
    return fw.run(words);
  }
  Output list() const { return fw.run({"certs", "--letsencrypt", dir_ / "letsencrypt"}); }
  /// The serial number of what nginx serves for a name; "" when it serves nothing.
  std::string served(const std::string& name) const {
    const Output output = lab::run(
        net.outside,
        {"openssl", "s_client", "-connect", bracketed(host()) + ":443", "-servername", name}, "");
    const auto begin = output.out.find("-----BEGIN CERTIFICATE-----");
    if (begin == std::string::npos) return {};
    return must_run(net.outside, {"openssl", "x509", "-noout", "-serial", "-ext", "subjectAltName"},
                    output.out.substr(begin));
  }

  TempDir dir_;
  Nginx nginx_{net.host, "notice"};
  std::optional<Pebble> pebble_{std::in_place, net.outside, family(), host()};
};
BOTH_FAMILIES(Certs);

TEST_P(Certs, AreHadRenewedAndUsed) {
  fw.policy(policy(site("wiki.example.org") + site("chat.example.org")));
  EXPECT_THAT(list().out, HasSubstr("is not there yet"));
  const Output first = renew();
  ASSERT_EQ(first.exit, 0) << to_string(first);
  EXPECT_THAT(first.out,
              AllOf(HasSubstr("renewed wiki.example.org"), HasSubstr("renewed chat.example.org")));
  std::string serial;
  ASSERT_TRUE(eventually([&] { return !(serial = served("wiki.example.org")).empty(); }));
  EXPECT_THAT(serial, HasSubstr("DNS:wiki.example.org"));
  const Output listed = list();
  EXPECT_EQ(listed.exit, 0) << to_string(listed);
  EXPECT_THAT(listed.out, AllOf(HasSubstr("Pebble"), HasSubstr("renewed from "),
                                HasSubstr("publish these names")));

  const Output idle = renew();
  EXPECT_THAT(idle.out, HasSubstr("No certificate is due"));
  const std::size_t before = nginx_.reloads();
  const Output again = renew({"--all"});
  ASSERT_EQ(again.exit, 0) << to_string(again);
  EXPECT_TRUE(eventually([&] { return served("wiki.example.org") != serial; }));
  EXPECT_EQ(nginx_.reloads(), before + 1) << "once for both";

  // What a run that was killed leaves: nginx was not told yet.
  const std::string records = fw.state_dir() + "/certificates";
  write_file(records, read_file(records) + "nginx\t0\t0\t0\t\n");
  EXPECT_THAT(renew().out, HasSubstr("No certificate is due"));
  EXPECT_TRUE(eventually([&] { return nginx_.reloads() == before + 2; }));
  EXPECT_THAT(read_file(records), Not(HasSubstr("nginx\t")));
}

TEST_P(Certs, AFailureTellsAndLeavesTheOthersAlone) {
  // Of the name that the CA cannot reach.
  pebble_->tell_dns("add-a", R"({"host": "dead.example.org", "addresses": ["198.18.0.250"]})");
  pebble_->tell_dns("add-aaaa",
                    R"({"host": "dead.example.org", "addresses": ["2001:db8:dead::1"]})");
  fw.policy(policy(site("dead.example.org") + site("wiki.example.org")));
  const Output mixed = renew();
  EXPECT_EQ(mixed.exit, 3) << to_string(mixed);
  EXPECT_THAT(mixed.out, HasSubstr("renewed wiki.example.org"));
  EXPECT_THAT(mixed.err,
              HasSubstr("certificate of dead.example.org not renewed: dead.example.org: "));
  EXPECT_THAT(read_file(dir_ / "told"), HasSubstr("dead.example.org: dead.example.org: "));
  EXPECT_THAT(list().out, HasSubstr("is not there yet"));
  EXPECT_THAT(fw.must({"activity"}).out,
              AllOf(HasSubstr("certificate of wiki.example.org renewed"),
                    HasSubstr("certificate of dead.example.org not renewed")));
  const Output soon = renew();
  EXPECT_EQ(soon.exit, 0) << "it waits before it tries again: " << to_string(soon);
}

TEST_P(Certs, AServerThatIsDownChangesNothing) {
  fw.policy(policy(site("wiki.example.org")));
  ASSERT_EQ(renew().exit, 0);
  std::string serial;
  ASSERT_TRUE(eventually([&] { return !(serial = served("wiki.example.org")).empty(); }));
  pebble_.reset();
  const Output failed = renew({"--all"});
  EXPECT_EQ(failed.exit, 3) << to_string(failed);
  EXPECT_EQ(served("wiki.example.org"), serial);
  EXPECT_EQ(list().exit, 3) << "it says so";
}

TEST_P(Certs, ARefusedOrderTellsTheCasReason) {
  fw.policy(policy(site("refused.example.org")));
  const Output refused = renew();
  EXPECT_EQ(refused.exit, 3) << to_string(refused);
  EXPECT_THAT(refused.err, HasSubstr("rejectedIdentifier"));
  EXPECT_THAT(read_file(dir_ / "told"), HasSubstr("refused.example.org: rejectedIdentifier"));
}

TEST_P(Certs, AWildcardIsHadByDns) {
  write_file(dir_ / "hook",
             "#!/bin/sh\n[ -n \"$CERTBOT_AUTH_OUTPUT\" ] && exit 0\n"
             "curl -sSf -d \"{\\\"host\\\": \\\"_acme-challenge.$CERTBOT_DOMAIN.\\\", "
             "\\\"value\\\": \\\"$CERTBOT_VALIDATION\\\"}\" http://" +
                 bracketed(gateway_address(family())) + ":8055/set-txt\n");
  ::chmod((dir_ / "hook").c_str(), 0755);
  fw.policy(policy("dns_hook = \"" + (dir_ / "hook") + "\"\n" + site("apps.example.org") +
                   site("*.apps.example.org")));
  const Output had = renew();
  ASSERT_EQ(had.exit, 0) << to_string(had);
  EXPECT_TRUE(eventually(
      [&] { return served("chat.apps.example.org").contains("DNS:*.apps.example.org"); }));
  EXPECT_TRUE(eventually([&] {
    return served("apps.example.org").contains("DNS:apps.example.org");
  })) << "each has its own";
  EXPECT_THAT(list().out, Not(HasSubstr("  chat.apps.example.org")));
}

TEST_P(Certs, WhatNginxDoesNotUseIsTold) {
  fw.policy(policy(site("wiki.example.org")));
  ASSERT_EQ(renew().exit, 0);
  std::string serial;
  ASSERT_TRUE(eventually([&] { return !(serial = served("wiki.example.org")).empty(); }));
  write_file(nginx_.folder() + "/conf.d/broken.conf", "nonsense;\n");
  fw.policy(policy(site("wiki.example.org") + site("chat.example.org")));
  const Output refused = renew();
  EXPECT_EQ(refused.exit, 3) << to_string(refused);
  EXPECT_THAT(refused.err, HasSubstr("nginx does not use new certificates"));
  EXPECT_EQ(served("wiki.example.org"), serial) << "the old one stays in use";
  std::filesystem::remove(nginx_.folder() + "/conf.d/broken.conf");
  EXPECT_EQ(renew().exit, 0) << "the next run has it used";
  EXPECT_TRUE(eventually([&] { return !served("chat.example.org").empty(); }));
}

TEST_P(Certs, SitesThatWereNeverInstalledAreLeftAlone) {
  fw.policy(policy(site("draft.example.org")));
  const Output renewed = fw.must({"certs", "renew", "--nginx", nginx_.folder()});
  EXPECT_THAT(renewed.out, HasSubstr("render nginx --install"));
  EXPECT_FALSE(std::filesystem::exists(nginx_.folder() + "/cloudron-fw"));
  EXPECT_THAT(list().out, HasSubstr("is not there yet"));
}

/// Certificates that nobody signed, of every lifetime that is usual or will be.
class Lifetimes : public testing::Test {
 protected:
  Lifetimes() { fw.set_clock(0s); }

  json::object certificate() const {
    const Output output = fw.run({"--json", "certs", "--letsencrypt", dir_.path()});
    exit_ = output.exit;
    return json::parse(output.out).at("certificates").at(0).as_object();
  }

  Network net;
  Firewall fw{net.host};
  TempDir dir_;
  mutable int exit_ = 0;
};

TEST_F(Lifetimes, EachIsDueAndAlarmsInItsTime) {
  const std::string live = dir_ / "live/wiki.example.org";
  std::filesystem::create_directories(live);
  fw.policy("[[site]]\nname = \"wiki.example.org\"\nupstream = \"http://127.0.0.1:3000\"\n");
  for (const int days : {6, 45, 64, 90}) {
    const SelfSigned made(net.host, dir_.path(), {"wiki.example.org"}, days);
    std::filesystem::copy_file(made.certificate, live + "/fullchain.pem",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(made.key, live + "/privkey.pem",
                               std::filesystem::copy_options::overwrite_existing);
    const seconds lifetime = std::chrono::days{days};
    // A twentieth of the lifetime is for spreading.
    const seconds due = days < 10 ? lifetime / 2 : lifetime * 2 / 3;
    const auto state_at = [&](seconds age) {
      fw.set_clock(age);
      return certificate();
    };
    EXPECT_EQ(state_at(due - lifetime / 19).at("due"), false) << days;
    EXPECT_EQ(exit_, 0) << days;
    EXPECT_EQ(state_at(due + 1min).at("due"), true) << days;
    EXPECT_EQ(state_at(lifetime * 5 / 6 - 1min).at("alarm"), false) << days;
    EXPECT_EQ(exit_, 0) << days;
    EXPECT_EQ(state_at(lifetime * 5 / 6 + 1min).at("alarm"), true) << days;
    EXPECT_EQ(exit_, 3) << days;
    EXPECT_EQ(state_at(lifetime + 1min).at("problem"), "has expired") << days;
  }
}

}  // namespace
}  // namespace lab
