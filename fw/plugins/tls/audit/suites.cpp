// Protocol versions, cipher suites and groups of TLS.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/suites.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace fw::tls {
namespace {

constexpr Suite kSuites[] = {
#include "fw/plugins/tls/audit/suites.inc"
};

// TLS Supported Groups of IANA; RFC 8422, 7919, 8446, and draft-ietf-tls-ecdhe-mlkem.
constexpr Group kGroups[] = {
    {1, "sect163k1", 163},
    {2, "sect163r1", 162},
    {3, "sect163r2", 163},
    {4, "sect193r1", 193},
    {5, "sect193r2", 193},
    {6, "sect233k1", 232},
    {7, "sect233r1", 233},
    {8, "sect239k1", 238},
    {9, "sect283k1", 281},
    {10, "sect283r1", 282},
    {11, "sect409k1", 407},
    {12, "sect409r1", 409},
    {13, "sect571k1", 570},
    {14, "sect571r1", 570},
    {15, "secp160k1", 161},
    {16, "secp160r1", 161},
    {17, "secp160r2", 161},
    {18, "secp192k1", 192},
    {19, "secp192r1", 192},
    {20, "secp224k1", 225},
    {21, "secp224r1", 224},
    {22, "secp256k1", 256},
    {23, "prime256v1", 256},
    {24, "secp384r1", 384},
    {25, "secp521r1", 521},
    {26, "brainpoolP256r1", 256},
    {27, "brainpoolP384r1", 384},
    {28, "brainpoolP512r1", 512},
    {29, "X25519", 253},
    {30, "X448", 448},
    {256, "ffdhe2048", 2048, Group::Kind::finite_field},
    {257, "ffdhe3072", 3072, Group::Kind::finite_field},
    {258, "ffdhe4096", 4096, Group::Kind::finite_field},
    {259, "ffdhe6144", 6144, Group::Kind::finite_field},
    {260, "ffdhe8192", 8192, Group::Kind::finite_field},
    {0x11eb, "SecP256r1MLKEM768", 256, Group::Kind::hybrid},
    {0x11ec, "X25519MLKEM768", 253, Group::Kind::hybrid},
    {0x11ed, "SecP384r1MLKEM1024", 384, Group::Kind::hybrid},
};

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

/// Of the cipher in a suite's name. 3DES counts as 112: meeting in the middle takes the rest.
int bits_of(std::string_view name) {
  struct Row {
    std::string_view part;
    int bits;
  };
  // What is first counts: the weak forms of a cipher stand before it.
  constexpr Row kRows[] = {
      {"NULL", 0},       {"RC2_56", 56},        {"EXPORT40", 40},         {"DES40", 40},
      {"CBC_40", 40},    {"RC4_40", 40},        {"RC4_56", 56},           {"RC4_64", 64},
      {"RC4_128", 128},  {"3DES_EDE", 112},     {"DES_192_EDE3", 112},    {"DES_CBC", 56},
      {"DES_64", 56},    {"RC2_CBC_56", 56},    {"DES_56", 56},           {"IDEA", 128},
      {"SEED", 128},     {"RC2_128", 128},      {"AES_128", 128},         {"AES_256", 256},
      {"CHACHA20", 256}, {"CAMELLIA_128", 128}, {"CAMELLIA_256", 256},    {"ARIA_128", 128},
      {"ARIA_256", 256}, {"28147", 256},        {"GOSTR341112_256", 256}, {"SM4", 128},
      {"GOST", 256},
  };
  for (const Row& row : kRows) {
    if (has(name, row.part)) return row.bits;
  }
  return 0;
}

const Suite* find_suite(std::uint32_t code) {
  const auto* const found = std::ranges::find(kSuites, code, &Suite::code);
  return found == std::end(kSuites) ? nullptr : found;
}

bool is_tls13(std::uint32_t code) { return code >> 8 == 0x13 || code == 0xc0b4 || code == 0xc0b5; }

}  // namespace

const char* to_string(Version version) {
  switch (version) {
    case Version::ssl2:
      return "SSL 2";
    case Version::ssl3:
      return "SSL 3";
    case Version::tls10:
      return "TLS 1.0";
    case Version::tls11:
      return "TLS 1.1";
    case Version::tls12:
      return "TLS 1.2";
    case Version::tls13:
      return "TLS 1.3";
  }
  return "";
}

std::span<const Suite> suites() { return kSuites; }

std::string suite_name(std::uint32_t code) {
  const Suite* const known = find_suite(code);
  return known != nullptr ? std::string(known->name) : fmt::format("{:#06x}", code);
}

SuiteTraits traits(std::uint32_t code) {
  const Suite* const known = find_suite(code);
  return known != nullptr ? traits_of_name(known->name) : SuiteTraits{};
}

SuiteTraits traits_of_name(std::string_view name) {
  SuiteTraits found;
  const bool of_tls13 = name.starts_with("TLS_") && !has(name, "_WITH_");
  found.bits = bits_of(name);
  found.forward_secret = of_tls13 || has(name, "ECDHE_") || has(name, "_DHE_") ||
                         has(name, "ECDH_anon") || has(name, "DH_anon");
  found.aead = of_tls13 || has(name, "_GCM") || has(name, "_CCM") || has(name, "POLY1305") ||
               has(name, "MGM");
  found.rc4 = has(name, "RC4");
  found.block64 = has(name, "DES") || has(name, "IDEA") || has(name, "RC2") ||
                  (has(name, "28147") && !has(name, "MGM"));
  found.exported = has(name, "EXPORT");
  found.anonymous = has(name, "_anon_");
  found.elliptic = has(name, "ECDH");
  found.ecdsa = has(name, "ECDSA");
  found.md5 = name.ends_with("_MD5");
  return found;
}

bool belongs_to(std::uint32_t code, Version version) {
  if (version == Version::ssl2) return code > 0xffff;
  if (version == Version::tls13) return is_tls13(code);
  return code <= 0xffff && !is_tls13(code);
}

std::span<const Group> groups() { return kGroups; }

const Group* find_group(std::uint16_t code) {
  const auto* const found = std::ranges::find(kGroups, code, &Group::code);
  return found == std::end(kGroups) ? nullptr : found;
}

std::string group_name(std::uint16_t code) {
  const Group* const known = find_group(code);
  return known != nullptr ? std::string(known->name) : fmt::format("group {}", code);
}

}  // namespace fw::tls
