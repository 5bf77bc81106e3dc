// Hellos of TLS by hand: what is sent, and what is read of any answer.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/audit/hello.hpp"
#include "fw/plugins/tls/audit/starttls.hpp"
#include "tests/unit/samples.hpp"

namespace fw::tls {
namespace {

using std::string;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = ServerAnswer::Kind;

const string kRandom(32, 'r');

string number(std::size_t value, int width) {
  string bytes;
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
    bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}
string sized(const string& text, int width) { return number(text.size(), width) + text; }
string record(int type, const string& body) {
  return number(static_cast<std::size_t>(type), 1) + "\3\3" + sized(body, 2);
}
string message(int type, const string& body) {
  return number(static_cast<std::size_t>(type), 1) + sized(body, 3);
}
string extension(std::size_t type, const string& body) { return number(type, 2) + sized(body, 2); }

string server_hello(std::size_t version, std::size_t suite, const string& extensions = "",
                    const string& random = kRandom, char compression = 0) {
  return message(2, number(version, 2) + random + sized("", 1) + number(suite, 2) + compression +
                        (extensions.empty() ? "" : sized(extensions, 2)));
}

/// Read whole, and never from a part of it.
ServerAnswer answer(const string& bytes, ReadUntil until = ReadUntil::hello) {
  leave_sample("hello", bytes);
  const auto read = read_server(bytes, until);
  EXPECT_TRUE(read.has_value());
  if (read && read->kind != Kind::foreign) {
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_EQ(read_server(bytes.substr(0, size), until), std::nullopt) << size;
  }
  return read.value_or(ServerAnswer{});
}

TEST(TlsHello, IsARecordWithWhatIsOffered) {
  const Offer offer{Version::tls12, {0xc02f, 0x009c}, {29, 23}, "wiki.example.org", false};
  const string bytes = client_hello(offer, kRandom);
  EXPECT_EQ(bytes.substr(0, 3), "\x16\3\1");
  EXPECT_EQ(bytes.size(), 5u + static_cast<unsigned char>(bytes[4]));
  EXPECT_THAT(bytes, HasSubstr(kRandom));
  EXPECT_THAT(bytes, HasSubstr(sized(number(0xc02f, 2) + number(0x009c, 2) + number(0xff, 2), 2)));
  EXPECT_THAT(bytes, HasSubstr(sized("wiki.example.org", 2)));
  EXPECT_THAT(bytes, HasSubstr(extension(10, sized(number(29, 2) + number(23, 2), 2))));
}

TEST(TlsHello, OfEachVersionHasItsForm) {
  Offer offer{Version::ssl3, {0x0005}, {23}, "wiki.example.org", true};
  string bytes = client_hello(offer, kRandom);
  EXPECT_EQ(bytes.substr(0, 3), string("\x16\3\0", 3));
  EXPECT_THAT(bytes, testing::Not(HasSubstr("wiki"))) << "SSL 3 has no extensions";
  EXPECT_TRUE(bytes.ends_with(string("\2\1\0", 3))) << "deflate, and none";

  offer.version = Version::tls13;
  offer.suites = {0x1301};
  bytes = client_hello(offer, kRandom);
  EXPECT_THAT(bytes, HasSubstr(extension(43, "\2\3\4")));
  EXPECT_THAT(bytes, HasSubstr(extension(51, string(2, '\0')))) << "no key";

  offer.version = Version::ssl2;
  offer.suites = {0x010080};
  EXPECT_EQ(client_hello(offer, kRandom),
            string("\x80\x1c\1\0\2\0\3\0\0\0\x10\1\0\x80", 14) + string(16, 'r'));
}

TEST(TlsHello, ChoiceIsRead) {
  const ServerAnswer read =
      answer(record(22, server_hello(0x0303, 0xc02f, extension(0xff01, string(1, '\0')))));
  EXPECT_EQ(read.kind, Kind::hello);
  EXPECT_EQ(read.version, Version::tls12);
  EXPECT_EQ(read.suite, 0xc02fu);
  EXPECT_TRUE(read.renegotiates_safely);
  EXPECT_FALSE(read.compressed);
  const ServerAnswer old = answer(record(22, server_hello(0x0301, 0x0005, "", kRandom, 1)));
  EXPECT_EQ(old.version, Version::tls10);
  EXPECT_TRUE(old.compressed);
  EXPECT_FALSE(old.renegotiates_safely);
}

TEST(TlsHello, RetryNamesTheGroup) {
  const string random(
      "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
      "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c");
  const string extensions = extension(43, "\3\4") + extension(51, number(0x11ec, 2));
  const ServerAnswer read = answer(record(22, server_hello(0x0303, 0x1301, extensions, random)));
  EXPECT_EQ(read.kind, Kind::retry);
  EXPECT_EQ(read.version, Version::tls13);
  EXPECT_EQ(read.group, 0x11ec);
  EXPECT_EQ(group_name(*read.group), "X25519MLKEM768");
  // A retry of an earlier version is nothing.
  EXPECT_EQ(answer(record(22, server_hello(0x0303, 0x1301, "", random))).kind, Kind::foreign);
}

TEST(TlsHello, RefusalsAreRead) {
  const ServerAnswer refused = answer(record(21, "\2\x28"));
  EXPECT_EQ(refused.kind, Kind::alert);
  EXPECT_EQ(alert_name(refused.alert), "handshake_failure");
  // A warning that the name is not known; then a hello all the same.
  const ServerAnswer warned =
      answer(record(21, "\1\x70") + record(22, server_hello(0x0303, 0xc02f)));
  EXPECT_EQ(warned.kind, Kind::hello);
}

TEST(TlsHello, KeysAndCertificatesAreRead) {
  const string certificates = message(11, sized(sized("one", 3) + sized("two", 3), 3));
  const string curve = message(12, "\3" + number(23, 2) + sized("point", 1));
  const string flight = server_hello(0x0303, 0xc02f) + certificates + curve;
  ServerAnswer read = answer(record(22, flight), ReadUntil::keys);
  EXPECT_THAT(read.certificates, ElementsAre("one", "two"));
  EXPECT_EQ(read.group, 23);

  // Of DHE the prime, whose first bits may be zero; in two records.
  const string prime = string(1, '\0') + "\x7f" + string(127, 'p');
  const string dhe = server_hello(0x0303, 0x009e) + certificates +
                     message(12, sized(prime, 2) + sized("\2", 2) + sized("y", 2));
  read = answer(record(22, dhe.substr(0, 60)) + record(22, dhe.substr(60)), ReadUntil::keys);
  EXPECT_EQ(read.dh_bits, 1023);

  read = answer(record(22, server_hello(0x0303, 0x009c) + certificates + message(14, "")),
                ReadUntil::keys);
  EXPECT_EQ(read.group, std::nullopt);
  EXPECT_EQ(read.dh_bits, std::nullopt);
}

TEST(TlsHello, OfSsl2NamesAllSuites) {
  const string body =
      string("\4\0\1\0\2\0\3\0\6\0\1", 11) + "der" + string("\1\0\x80\7\0\xc0", 6) + "i";
  const ServerAnswer read = answer(number(0x8000 | body.size(), 2) + body);
  EXPECT_EQ(read.version, Version::ssl2);
  EXPECT_THAT(read.suites_of_ssl2, ElementsAre(0x010080, 0x0700c0));
  EXPECT_THAT(read.certificates, ElementsAre("der"));
}

TEST(TlsHello, WhatIsNoTlsIsForeign) {
  for (const string& bytes :
       {string("HTTP/1.1 400 Bad Request\r\n"), string("220 mail.example ESMTP\r\n"),
        record(22, message(1, "a client's")), record(23, "application data"), record(22, ""),
        record(22, message(2, "short")), string("\x16\3\3\xff\xff") + string(10, 'x')}) {
    EXPECT_EQ(answer(bytes).kind, Kind::foreign) << bytes;
  }
}

TEST(TlsHello, AnEndlessAnswerIsForeign) {
  // A chain of a thousand certificates, in records of the greatest size.
  string chain;
  for (int i = 0; i < 1000; ++i) chain += sized(string(1000, 'c'), 3);
  const string flight = server_hello(0x0303, 0xc02f) + message(11, sized(chain, 3));
  string bytes;
  for (std::size_t at = 0; at < flight.size(); at += 16'000)
    bytes += record(22, flight.substr(at, 16'000));
  EXPECT_EQ(read_server(bytes.substr(0, kTlsAnswerMax + 1), ReadUntil::keys)->kind, Kind::foreign);
  // Many small ones within the bound: the first count.
  string small;
  for (int i = 0; i < 1000; ++i) small += sized("c", 3);
  const string whole =
      server_hello(0x0303, 0xc02f) + message(11, sized(small, 3)) + message(14, "");
  EXPECT_EQ(read_server(record(22, whole), ReadUntil::keys)->certificates.size(), kTlsChainMax);
}

TEST(TlsSuites, NamesSayHowStrongTheyAre) {
  const SuiteTraits gcm = traits(0xc02f);
  EXPECT_EQ(suite_name(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
  EXPECT_TRUE(gcm.forward_secret && gcm.aead && gcm.elliptic && !gcm.ecdsa);
  EXPECT_EQ(gcm.bits, 128);
  EXPECT_TRUE(traits(0x1303).aead && traits(0x1303).forward_secret);
  EXPECT_EQ(traits(0x1303).bits, 256);
  EXPECT_EQ(traits(0x000a).bits, 112);
  EXPECT_TRUE(traits(0x000a).block64);
  EXPECT_FALSE(traits(0x000a).forward_secret);
  EXPECT_EQ(traits(0x0009).bits, 56);
  EXPECT_EQ(traits(0x0003).bits, 40);
  EXPECT_TRUE(traits(0x0003).exported && traits(0x0003).rc4);
  EXPECT_EQ(traits(0x0002).bits, 0);
  EXPECT_TRUE(traits(0x0034).anonymous);
  EXPECT_EQ(suite_name(0xfefa), "0xfefa");
}

TEST(TlsSuites, AllHaveStrengthsButThoseWithoutEncryption) {
  for (const Suite& suite : suites()) {
    const bool plain =
        suite.name.find("NULL") != std::string_view::npos || suite.name.starts_with("TLS_SHA");
    EXPECT_EQ(traits(suite.code).bits == 0, plain) << suite.name;
  }
}

/// What was said in answer to each text.
std::vector<string> dialogue(Greeting& greeting, const std::vector<string>& texts) {
  std::vector<string> said;
  for (const string& text : texts) {
    leave_sample("hello", text);
    said.push_back(greeting.on(text));
  }
  return said;
}

TEST(TlsGreeting, AsksEachProtocolForTls) {
  Greeting smtp(Starttls::smtp);
  EXPECT_THAT(dialogue(smtp, {"220-mail\r\n220 ready\r\n", "250-mail\r\n250-STARTTLS\r\n",
                              "250 HELP\r\n", "220 go\r\n"}),
              ElementsAre("EHLO localhost\r\n", "", "STARTTLS\r\n", ""));
  EXPECT_TRUE(smtp.done());
  Greeting imap(Starttls::imap);
  EXPECT_THAT(
      dialogue(imap, {"* OK [CAPABILITY STARTTLS] hi\r\n", "* BYE not yet\r\na OK begin\r\n"}),
      ElementsAre("a STARTTLS\r\n", ""));
  EXPECT_TRUE(imap.done());
  Greeting pop3(Starttls::pop3);
  EXPECT_THAT(dialogue(pop3, {"+OK hi\r\n", "+OK\r\n"}), ElementsAre("STLS\r\n", ""));
  EXPECT_TRUE(pop3.done());
  Greeting sieve(Starttls::sieve);
  EXPECT_THAT(
      dialogue(sieve, {"\"IMPLEMENTATION\" \"D\"\r\n\"STARTTLS\"\r\nOK \"hi\"\r\n", "OK\r\n"}),
      ElementsAre("STARTTLS\r\n", ""));
  EXPECT_TRUE(sieve.done());
  EXPECT_TRUE(Greeting(Starttls::none).done());
}

TEST(TlsGreeting, SaysWhyTlsDoesNotBegin) {
  Greeting plain(Starttls::smtp);
  dialogue(plain, {"220 ready\r\n", "250 HELP\r\n"});
  EXPECT_EQ(plain.failure(), "offers no STARTTLS");
  Greeting busy(Starttls::smtp);
  dialogue(busy, {"554 go away\r\n"});
  EXPECT_EQ(busy.failure(), "answered \"554 go away\"");
  Greeting endless(Starttls::imap);
  EXPECT_EQ(endless.on(string(1 << 20, 'x')), "");
  EXPECT_EQ(endless.failure(), "greets without an end");
}

}  // namespace
}  // namespace fw::tls
