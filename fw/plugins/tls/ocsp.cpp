// Whether a certificate names a server of OCSP.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/ocsp.hpp"

#include <cstdint>
#include <string>

namespace fw::tls {
namespace {

/// What comes before a character that base64 has not.
std::string decode_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    const auto digit = kDigits.find(c);
    if (digit == kDigits.npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

}  // namespace

bool names_ocsp(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  // In DER: the object identifier id-ad-ocsp, and a URI behind it. Source: RFC 5280, 4.2.2.1.
  constexpr std::string_view kOcsp = "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86";
  const auto begin = pem.find(kBegin);
  if (begin == pem.npos) return false;
  return decode_base64(pem.substr(begin + kBegin.size())).contains(kOcsp);
}

}  // namespace fw::tls
