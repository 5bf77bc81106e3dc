// Protocol versions, cipher suites and groups of TLS: their names, and how strong they are.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fw::tls {

/// By the number on the wire.
enum class Version : std::uint16_t {
  ssl2 = 0x0002,
  ssl3 = 0x0300,
  tls10 = 0x0301,
  tls11 = 0x0302,
  tls12 = 0x0303,
  tls13 = 0x0304
};

inline constexpr Version kVersions[] = {Version::ssl2,  Version::ssl3,  Version::tls10,
                                        Version::tls11, Version::tls12, Version::tls13};

/// "TLS 1.2"
const char* to_string(Version version);

struct Suite {
  std::uint32_t code = 0;  ///< two bytes; of SSL 2 three
  std::string_view name;   ///< as IANA has it

  bool operator==(const Suite&) const = default;
};

/// What a suite's name says of it.
struct SuiteTraits {
  int bits = 0;  ///< of the cipher's strength; 0: it does not encrypt, or is not known
  bool forward_secret = false;
  bool aead = false;
  bool rc4 = false;
  bool block64 = false;    ///< blocks of 64 bits: DES, 3DES, IDEA, RC2
  bool exported = false;   ///< weakened for export
  bool anonymous = false;  ///< nobody proves who they are
  bool elliptic = false;   ///< its key exchange uses a curve: ECDHE, ECDH
  bool ecdsa = false;      ///< the certificate's key is for ECDSA
  bool md5 = false;
};

/// All that are known, ascending.
std::span<const Suite> suites();
/// "TLS_RSA_WITH_AES_128_CBC_SHA", or the number of one that is not known: "0xabcd".
std::string suite_name(std::uint32_t code);
SuiteTraits traits(std::uint32_t code);
SuiteTraits traits_of_name(std::string_view name);
/// SSL 2 has its own; TLS 1.3 too.
bool belongs_to(std::uint32_t code, Version version);

struct Group {
  enum class Kind : std::uint8_t { curve, finite_field, hybrid };

  std::uint16_t code = 0;
  std::string_view name;
  int bits = 0;  ///< of the curve's order, or of the prime
  Kind kind = Kind::curve;

  bool operator==(const Group&) const = default;
};

/// The groups that are asked for.
std::span<const Group> groups();
/// null: it is not known.
const Group* find_group(std::uint16_t code);
std::string group_name(std::uint16_t code);

}  // namespace fw::tls
