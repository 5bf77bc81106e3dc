// The grade of a server by the rules of SSL Labs: "SSL Server Rating Guide", versions 2009q and
// 2009r. Pure: facts in, grade out.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/plugins/tls/audit/suites.hpp"

namespace fw::tls {

enum class Rules : std::uint8_t {
  r2009q,  ///< of January 2020, which testssl.sh 3.2 follows
  r2009r   ///< of May 2025
};
const char* to_string(Rules rules);
std::optional<Rules> parse_rules(std::string_view name);

/// The worst last, but for `name` and `trust`: whoever gets one of these has no other letter.
enum class Letter : std::uint8_t {
  a_plus,
  a,
  a_minus,
  b,
  c,
  d,
  e,
  f,
  name,  ///< M: the certificate is not for this name
  trust  ///< T: the certificate is not trusted
};
/// "A+", "M"
const char* to_string(Letter letter);

struct KeyStrength {
  enum class Kind : std::uint8_t { rsa, elliptic };

  Kind kind = Kind::rsa;  ///< rsa: RSA, DSA and DH
  int bits = 0;

  bool operator==(const KeyStrength&) const = default;
};

enum class Trust : std::uint8_t {
  trusted,
  untrusted,    ///< nothing leads to an authority that is trusted
  self_signed,  ///< the server's certificate vouches for itself
  incomplete,   ///< a certificate between the server's and the authority's was not sent
  expired,      ///< it, or one above it
  not_yet,
  broken  ///< a signature is wrong, or a certificate above it may not sign
};

/// What an HSTS header asks for.
enum class Hsts : std::uint8_t { absent, invalid, zero, too_short, long_enough };

/// For A+ at least so long.
inline constexpr std::chrono::seconds kHstsMin{180 * 86'400};

struct VersionSuites {
  Version version{};
  std::vector<std::uint32_t> suites;

  bool operator==(const VersionSuites&) const = default;
};

/// What of a server its grade follows from.
struct GradeFacts {
  std::vector<VersionSuites> offered;  ///< ascending; each with a suite at least
  std::vector<KeyStrength> keys;       ///< of its certificates, and those that it agreed on
  Trust trust = Trust::trusted;
  bool name_fits = true;
  bool sha1 = false;  ///< a certificate below the authority's is signed with it
  bool md5 = false;   ///< the same, or MD2
  Hsts hsts = Hsts::absent;
  bool compression = false;
  bool renegotiates_safely = true;
};

/// Why the grade is not better.
struct Cap {
  Letter letter{};
  std::string rule;    ///< "tls-old-version": stable, for scripts
  std::string reason;  ///< a clause: "TLS 1.0 is offered"
  std::string impact;  ///< what an attacker has of it
  std::string fix;     ///< the line that lifts it

  bool operator==(const Cap&) const = default;
};

struct Grade {
  int protocol = 0;  ///< points of a hundred
  int key = 0;
  int cipher = 0;
  int total = 0;  ///< 30 %, 30 % and 40 %; 0 when one of the three is
  Letter letter = Letter::f;
  Letter if_trusted = Letter::f;  ///< the letter without M and T
  std::vector<Cap> caps;          ///< the gravest first

  bool operator==(const Grade&) const = default;
};

Grade grade(const GradeFacts& facts, Rules rules);

/// Points for one key.
int key_points(const KeyStrength& key);
/// Points for a cipher of so many bits.
int cipher_points(int bits);

}  // namespace fw::tls
