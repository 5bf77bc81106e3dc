// The grade of a server by the rules of SSL Labs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/grade.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace fw::tls {
namespace {

// What nginx takes; other servers have directives of the same meaning.
constexpr const char* kVersionsLine = "ssl_protocols TLSv1.2 TLSv1.3;";
constexpr const char* kCiphersLine =
    "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;";
constexpr const char* kHstsLine =
    "add_header Strict-Transport-Security \"max-age=63072000\" always;";

int version_points(Version version) {
  switch (version) {
    case Version::ssl2:
      return 0;
    case Version::ssl3:
      return 80;
    case Version::tls10:
      return 90;
    case Version::tls11:
      return 95;
    case Version::tls12:
    case Version::tls13:
      return 100;
  }
  return 0;
}

/// What is asked of a server once, and then told of in several caps.
struct Traits {
  bool forward_secret = false;
  bool aead = false;
  bool rc4 = false;
  bool rc4_late = false;      ///< from TLS 1.1 on
  bool block64_late = false;  ///< the same
  bool exported = false;
  bool weak = false;  ///< below 112 bits
  bool anonymous = false;
  int bits_best = 0;
  int bits_worst = 0;
};

Traits all_traits(const GradeFacts& facts) {
  Traits all;
  all.bits_worst = 100'000;
  for (const VersionSuites& version : facts.offered) {
    for (const std::uint32_t code : version.suites) {
      const SuiteTraits one = traits(code);
      const bool late = version.version >= Version::tls11;
      all.forward_secret |= one.forward_secret;
      all.aead |= one.aead;
      all.rc4 |= one.rc4;
      all.rc4_late |= one.rc4 && late;
      all.block64_late |= one.block64 && late;
      all.exported |= one.exported;
      all.weak |= one.bits < 112;
      all.anonymous |= one.anonymous;
      all.bits_best = std::max(all.bits_best, one.bits);
      all.bits_worst = std::min(all.bits_worst, one.bits);
    }
  }
  return all;
}

bool offers(const GradeFacts& facts, Version version) {
  return std::ranges::find(facts.offered, version, &VersionSuites::version) != facts.offered.end();
}

using Caps = std::vector<Cap>;

void cap_by_certificate(const GradeFacts& facts, Rules rules, Caps& caps) {
  constexpr const char* kImpersonates =
      "who sits between can show a certificate of their own: people learned to ignore the warning";
  constexpr const char* kCertbot = "a certificate from an authority: certbot certonly --nginx";
  const auto distrust = [&](const char* reason, const char* fix) {
    caps.push_back({Letter::trust, "tls-untrusted", reason, kImpersonates, fix});
  };
  switch (facts.trust) {
    case Trust::trusted:
      break;
    case Trust::untrusted:
      distrust("the certificate's issuer is not trusted", kCertbot);
      break;
    case Trust::self_signed:
      distrust("the certificate is self-signed", kCertbot);
      break;
    case Trust::expired:
      distrust("a certificate has expired", "renew it: certbot renew");
      break;
    case Trust::not_yet:
      distrust("a certificate is not yet valid", "set the clock of who issued it right, and renew");
      break;
    case Trust::broken:
      distrust("the chain of certificates is broken",
               "ssl_certificate with the issuer's fullchain.pem");
      break;
    case Trust::incomplete:
      caps.push_back(
          {rules == Rules::r2009q ? Letter::trust : Letter::b, "tls-incomplete-chain",
           "the certificate of its issuer is not sent",
           "clients that do not know it by chance refuse the connection, and get used to it",
           "ssl_certificate with the issuer's fullchain.pem instead of cert.pem"});
      break;
  }
  if (!facts.name_fits) {
    caps.push_back({Letter::name, "tls-wrong-name", "the certificate is for other names",
                    kImpersonates, "a certificate that has this name: certbot --expand"});
  }
  if (facts.sha1) {
    caps.push_back({Letter::trust, "tls-sha1", "a certificate is signed with SHA-1",
                    "collisions can be bought, and browsers refuse it",
                    "have it issued again: SHA-256 is the default"});
  }
  if (facts.md5) {
    caps.push_back({Letter::f, "tls-md5", "a certificate is signed with MD5 or MD2",
                    "anybody can make another certificate with the same signature",
                    "have it issued again: SHA-256 is the default"});
  }
}

void cap_by_version(const GradeFacts& facts, Rules rules, Caps& caps) {
  const bool modern = offers(facts, Version::tls12) || offers(facts, Version::tls13);
  if (offers(facts, Version::ssl2)) {
    caps.push_back({Letter::f, "tls-ssl2", "SSL 2 is offered",
                    "connections of all versions with the same key can be decrypted (DROWN)",
                    kVersionsLine});
  }
  const bool ssl3_best = !facts.offered.empty() && facts.offered.back().version == Version::ssl3;
  if (ssl3_best) {
    caps.push_back({Letter::f, "tls-ssl3", "SSL 3 is the best version offered",
                    "cookies can be decrypted (POODLE)", kVersionsLine});
  }
  if (!modern) {
    caps.push_back({Letter::c, "tls-no-modern-version", "neither TLS 1.2 nor TLS 1.3 is offered",
                    "only broken constructions protect the connection; browsers refuse it",
                    kVersionsLine});
  }
  for (const Version version : {Version::ssl3, Version::tls10, Version::tls11}) {
    if (!offers(facts, version)) continue;
    caps.push_back({Letter::b, "tls-old-version", fmt::format("{} is offered", to_string(version)),
                    "clients that can be made to use it have no authenticated encryption",
                    kVersionsLine});
  }
  if (rules == Rules::r2009r && !offers(facts, Version::tls13)) {
    caps.push_back({Letter::a_minus, "tls-no-tls13", "TLS 1.3 is not offered",
                    "certificates and names of sites are sent in clear", kVersionsLine});
  }
}

void cap_by_suites(const Traits& all, Caps& caps) {
  const auto cap = [&caps](Letter letter, const char* rule, const char* reason,
                           const char* impact) {
    caps.push_back({letter, rule, reason, impact, kCiphersLine});
  };
  if (all.exported)
    cap(Letter::f, "tls-export", "suites weakened for export are offered",
        "it is broken in hours (FREAK, Logjam)");
  if (all.weak)
    cap(Letter::f, "tls-weak-cipher", "ciphers below 112 bits are offered",
        "traffic can be decrypted by trying keys");
  if (all.anonymous)
    cap(Letter::f, "tls-anonymous", "suites without a certificate are offered",
        "who sits between is not noticed");
  if (all.rc4_late)
    cap(Letter::c, "tls-rc4", "RC4 is offered with TLS 1.1 or later",
        "cookies can be recovered from much traffic");
  else if (all.rc4)
    cap(Letter::b, "tls-rc4", "RC4 is offered", "cookies can be recovered from much traffic");
  if (all.block64_late)
    cap(Letter::c, "tls-64-bit-blocks",
        "ciphers with blocks of 64 bits (3DES) are offered with TLS 1.1 or later",
        "cookies can be recovered from long connections (SWEET32)");
  if (!all.forward_secret)
    cap(Letter::b, "tls-no-forward-secrecy", "no suite has forward secrecy",
        "who gets the key decrypts what was recorded before");
  if (!all.aead)
    cap(Letter::b, "tls-no-aead", "no suite has authenticated encryption",
        "padding oracles (Lucky 13)");
}

void cap_by_rest(const GradeFacts& facts, int key, Rules rules, Caps& caps) {
  constexpr const char* kKey =
      "a certificate with a key of RSA 2048 or P-256, and no ssl_dhparam below 2048";
  if (key <= 40) {
    caps.push_back({Letter::f, "tls-weak-key", "a key is so short that it can be computed",
                    "traffic can be decrypted, and the server impersonated", kKey});
  } else if (key <= 80) {
    caps.push_back({Letter::b, "tls-weak-key", "a key is short",
                    "who has much to spend can compute it", kKey});
  }
  if (facts.compression) {
    caps.push_back({Letter::c, "tls-compression", "TLS compresses",
                    "cookies can be guessed by the length of what is sent (CRIME)",
                    "build and run nginx with OpenSSL 1.1 or later, which has none"});
  }
  if (!facts.renegotiates_safely) {
    caps.push_back({Letter::a_minus, "tls-renegotiation", "secure renegotiation is not supported",
                    "who sits between can begin a request that the client ends",
                    "an update of the server's TLS library"});
  }
  constexpr const char* kStrips =
      "the first visit by http:// can be kept there by who sits between";
  // Which letter a header takes away: 2009q forgives a short one.
  const Letter short_one = rules == Rules::r2009q ? Letter::a : Letter::a_minus;
  switch (facts.hsts) {
    case Hsts::long_enough:
      break;
    case Hsts::absent:
      caps.push_back({Letter::a, "tls-no-hsts", "HSTS is not sent", kStrips, kHstsLine});
      break;
    case Hsts::invalid:
      caps.push_back({Letter::a, "tls-no-hsts", "HSTS has no valid max-age", kStrips, kHstsLine});
      break;
    case Hsts::zero:
      caps.push_back(
          {Letter::a, "tls-no-hsts", "HSTS is switched off by max-age=0", kStrips, kHstsLine});
      break;
    case Hsts::too_short:
      caps.push_back(
          {short_one, "tls-short-hsts", "HSTS is shorter than 180 days", kStrips, kHstsLine});
      break;
  }
}

Letter letter_of(int total) {
  if (total >= 80) return Letter::a_plus;
  if (total >= 65) return Letter::b;
  if (total >= 50) return Letter::c;
  if (total >= 35) return Letter::d;
  if (total >= 20) return Letter::e;
  return Letter::f;
}

}  // namespace

const char* to_string(Rules rules) { return rules == Rules::r2009q ? "2009q" : "2009r"; }

std::optional<Rules> parse_rules(std::string_view name) {
  if (name == "2009q") return Rules::r2009q;
  if (name == "2009r") return Rules::r2009r;
  return std::nullopt;
}

const char* to_string(Letter letter) {
  static constexpr const char* kNames[] = {"A+", "A", "A-", "B", "C", "D", "E", "F", "M", "T"};
  return kNames[static_cast<std::size_t>(letter)];
}

int key_points(const KeyStrength& key) {
  const bool curve = key.kind == KeyStrength::Kind::elliptic;
  if (key.bits < (curve ? 110 : 512)) return 20;
  if (key.bits < (curve ? 123 : 1024)) return 40;
  if (key.bits < (curve ? 163 : 2048)) return 80;
  if (key.bits < (curve ? 225 : 4096)) return 90;
  return 100;
}

int cipher_points(int bits) {
  if (bits <= 0) return 0;
  if (bits < 128) return 20;
  if (bits < 256) return 80;
  return 100;
}

Grade grade(const GradeFacts& facts, Rules rules) {
  Grade result;
  if (facts.offered.empty()) return result;
  const Traits all = all_traits(facts);
  result.protocol = (version_points(facts.offered.back().version) +
                     version_points(facts.offered.front().version)) /
                    2;
  result.key = 100;
  for (const KeyStrength& key : facts.keys) result.key = std::min(result.key, key_points(key));
  if (all.anonymous) result.key = 0;
  result.cipher = (cipher_points(all.bits_best) + cipher_points(all.bits_worst)) / 2;
  // Each share is cut to a whole number, as testssl.sh does.
  if (result.protocol > 0 && result.key > 0 && result.cipher > 0)
    result.total = result.protocol * 30 / 100 + result.key * 30 / 100 + result.cipher * 40 / 100;

  cap_by_certificate(facts, rules, result.caps);
  cap_by_version(facts, rules, result.caps);
  cap_by_suites(all, result.caps);
  cap_by_rest(facts, result.key, rules, result.caps);
  std::ranges::stable_sort(result.caps, std::greater(), &Cap::letter);

  result.letter = letter_of(result.total);
  result.if_trusted = result.letter;
  for (const Cap& cap : result.caps) {
    result.letter = std::max(result.letter, cap.letter);
    if (cap.letter < Letter::name) result.if_trusted = std::max(result.if_trusted, cap.letter);
  }
  return result;
}

}  // namespace fw::tls
