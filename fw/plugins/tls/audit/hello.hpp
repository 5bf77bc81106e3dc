// The first messages of a handshake, by hand: what a client offers in any version, and what a
// server answers. Pure; made for asking, not for talking: no key is ever agreed on.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/plugins/tls/audit/suites.hpp"

namespace fw::tls {

struct Offer {
  Version version = Version::tls12;
  std::vector<std::uint32_t> suites;  ///< as many as fit: SSL 2 takes three bytes each, others two
  std::vector<std::uint16_t> groups;  ///< from TLS 1.0 on; none: no extension of it
  std::string server_name;            ///< "": none is sent
  bool compression = false;           ///< offers deflate

  bool operator==(const Offer&) const = default;
};

/// The bytes of a ClientHello in its record. In TLS 1.3 it brings no key, so that the server asks
/// for one of the group that it likes best (HelloRetryRequest, RFC 8446, 4.1.4). `random` is 32
/// bytes.
std::string client_hello(const Offer& offer, std::string_view random);

/// What a server answered.
struct ServerAnswer {
  enum class Kind : std::uint8_t {
    hello,   ///< it agreed
    retry,   ///< TLS 1.3: it agreed, and asks for a key
    alert,   ///< it refused
    foreign  ///< something else than TLS, or broken TLS
  };

  Kind kind = Kind::foreign;
  Version version{};        ///< that it chose; not necessarily one that was offered
  std::uint32_t suite = 0;  ///< that it chose
  std::uint8_t alert = 0;   ///< its description, RFC 8446, 6
  bool compressed = false;
  bool renegotiates_safely = false;           ///< RFC 5746
  std::optional<std::uint16_t> group;         ///< of its ephemeral key
  std::optional<int> dh_bits;                 ///< of its prime, when that is no named group
  std::vector<std::string> certificates;      ///< DER, the server's first; not in TLS 1.3
  std::vector<std::uint32_t> suites_of_ssl2;  ///< all that it knows of those offered

  bool agreed() const { return kind == Kind::hello || kind == Kind::retry; }
  bool operator==(const ServerAnswer&) const = default;
};

/// How much of an answer is wanted.
enum class ReadUntil : std::uint8_t {
  hello,  ///< the choice of version and suite
  keys    ///< the certificates and the ephemeral key too, which TLS 1.3 encrypts
};

/// Reads what came until now; nothing while more is needed. What is longer than kTlsAnswerMax is
/// `foreign`.
std::optional<ServerAnswer> read_server(std::string_view bytes, ReadUntil until);

/// "handshake_failure", "alert 200"
std::string alert_name(std::uint8_t alert);

}  // namespace fw::tls
