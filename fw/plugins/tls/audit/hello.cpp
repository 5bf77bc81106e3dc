// The first messages of a handshake, by hand.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/hello.hpp"

#include <bit>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

// RFC 8446, 4 and 5.1; RFC 5246, 7.4
constexpr std::uint8_t kAlertRecord = 21;
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kServerHello = 2;
constexpr std::uint8_t kCertificate = 11;
constexpr std::uint8_t kServerKeyExchange = 12;
constexpr std::uint8_t kServerHelloDone = 14;
constexpr std::size_t kRecordMax = 16'384 + 2048;
constexpr std::uint16_t kRenegotiationScsv = 0x00ff;

enum Extension : std::uint16_t {
  kServerName = 0,
  kSupportedGroups = 10,
  kPointFormats = 11,
  kSignatureAlgorithms = 13,
  kSupportedVersions = 43,
  kKeyShare = 51,
  kRenegotiationInfo = 0xff01
};

/// The random value that makes a ServerHello a HelloRetryRequest: RFC 8446, 4.1.3.
constexpr std::string_view kRetryRandom{
    "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
    "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c",
    32};

// Big-endian numbers of `width` bytes, and texts behind their length.
void put(std::string& to, std::size_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
    to += static_cast<char>(value >> shift & 0xff);
}
void put_sized(std::string& to, std::string_view text, int width) {
  put(to, text.size(), width);
  to += text;
}
void put_extension(std::string& to, Extension type, std::string_view body) {
  put(to, type, 2);
  put_sized(to, body, 2);
}

/// Takes from the front; what is not there makes it fail, and all that follows is zero or empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  std::string_view bytes(std::size_t size) {
    if (size > left_.size()) {
      failed_ = true;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  std::size_t number(int width) {
    std::size_t value = 0;
    for (const char c : bytes(static_cast<std::size_t>(width)))
      value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string_view sized(int width) { return bytes(number(width)); }
  bool empty() const { return left_.empty(); }
  bool failed() const { return failed_; }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
  bool failed_ = false;
};

std::string numbers(const auto& values) {
  std::string all;
  for (const auto value : values) put(all, value, 2);
  return all;
}

std::string extensions_of(const Offer& offer) {
  std::string all;
  if (!offer.server_name.empty()) {
    std::string entry("\0", 1);  // a host's name
    put_sized(entry, offer.server_name, 2);
    std::string list;
    put_sized(list, entry, 2);
    put_extension(all, kServerName, list);
  }
  if (!offer.groups.empty()) {
    std::string list;
    put_sized(list, numbers(offer.groups), 2);
    put_extension(all, kSupportedGroups, list);
    put_extension(all, kPointFormats, std::string_view("\1\0", 2));  // uncompressed
  }
  if (offer.version >= Version::tls12) {
    // ECDSA, Ed25519, Ed448, RSA-PSS of both kinds, RSA, and SHA-1 with each.
    static constexpr std::uint16_t kAlgorithms[] = {
        0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a,
        0x080b, 0x0401, 0x0501, 0x0601, 0x0301, 0x0303, 0x0201, 0x0203, 0x0202, 0x0402};
    std::string list;
    put_sized(list, numbers(kAlgorithms), 2);
    put_extension(all, kSignatureAlgorithms, list);
  }
  if (offer.version == Version::tls13) {
    put_extension(all, kSupportedVersions, std::string_view("\2\3\4", 3));
    put_extension(all, kKeyShare, std::string_view("\0\0", 2));  // no key yet
  }
  return all;
}

std::string hello_of_ssl2(const Offer& offer, std::string_view random) {
  std::string list;
  for (const std::uint32_t suite : offer.suites) put(list, suite, 3);
  std::string body("\1\0\2", 3);  // ClientHello, version 2
  put(body, list.size(), 2);
  put(body, 0, 2);  // no session
  put(body, 16, 2);
  body += list;
  body += random.substr(0, 16);
  std::string record;
  put(record, 0x8000 | body.size(), 2);
  return record + body;
}

/// The bodies of consecutive handshake messages, as far as they have come.
struct Messages {
  std::string bytes;  ///< of the records, joined
  std::optional<std::uint8_t> alert;
  bool foreign = false;
};

Messages join_records(std::string_view bytes) {
  Messages joined;
  Reader in(bytes);
  while (!in.empty()) {
    if (in.left().size() < 5) break;
    const std::size_t type = in.number(1);
    const std::size_t version = in.number(2);
    const std::size_t size = in.number(2);
    if (version >> 8 != 3 || size == 0 || size > kRecordMax ||
        (type != kAlertRecord && type != kHandshakeRecord)) {
      // What follows the hello of TLS 1.3 is of other types; before it, nothing is.
      joined.foreign = joined.bytes.empty();
      break;
    }
    if (type == kAlertRecord) {
      if (in.left().size() < size) break;
      Reader alert(in.bytes(size));
      const bool fatal = alert.number(1) == 2;
      const auto description = static_cast<std::uint8_t>(alert.number(1));
      if (!fatal && description != 0) continue;  // a warning: the hello may still come
      joined.alert = description;
      break;
    }
    joined.bytes += in.left().substr(0, size);  // of the last record what is there
    if (in.left().size() < size) break;
    in.bytes(size);
  }
  return joined;
}

void read_extensions(Reader extensions, ServerAnswer& answer) {
  while (!extensions.empty() && !extensions.failed()) {
    const std::size_t type = extensions.number(2);
    Reader body(extensions.sized(2));
    if (type == kRenegotiationInfo) answer.renegotiates_safely = true;
    if (type == kSupportedVersions) answer.version = static_cast<Version>(body.number(2));
    if (type == kKeyShare) answer.group = static_cast<std::uint16_t>(body.number(2));
  }
  if (extensions.failed()) answer.kind = ServerAnswer::Kind::foreign;
}

void read_hello(std::string_view body, ServerAnswer& answer) {
  Reader in(body);
  answer.version = static_cast<Version>(in.number(2));
  const bool retry = in.bytes(32) == kRetryRandom;
  in.sized(1);
  answer.suite = static_cast<std::uint32_t>(in.number(2));
  answer.compressed = in.number(1) != 0;
  answer.kind = in.failed() ? ServerAnswer::Kind::foreign
                : retry     ? ServerAnswer::Kind::retry
                            : ServerAnswer::Kind::hello;
  if (!in.empty()) read_extensions(Reader(in.sized(2)), answer);
  if (in.failed() || (retry && answer.version != Version::tls13))
    answer.kind = ServerAnswer::Kind::foreign;
}

void read_certificates(std::string_view body, ServerAnswer& answer) {
  Reader list(Reader(body).sized(3));
  while (!list.empty() && answer.certificates.size() < kTlsChainMax) {
    const std::string_view one = list.sized(3);
    if (list.failed()) return;
    answer.certificates.emplace_back(one);
  }
}

/// Of ECDHE the curve, of DHE the length of the prime: RFC 8422, 5.4; RFC 5246, 7.4.3.
void read_key_exchange(std::string_view body, ServerAnswer& answer) {
  Reader in(body);
  const SuiteTraits suite = traits(answer.suite);
  if (suite.elliptic) {
    if (in.number(1) == 3) answer.group = static_cast<std::uint16_t>(in.number(2));
    return;
  }
  std::string_view prime = in.sized(2);
  while (!prime.empty() && prime.front() == 0) prime.remove_prefix(1);
  if (in.failed() || prime.empty()) return;
  const auto first = static_cast<unsigned char>(prime.front());
  answer.dh_bits = static_cast<int>(8 * (prime.size() - 1)) + std::bit_width(first);
}

std::optional<ServerAnswer> read_ssl2(std::string_view bytes) {
  Reader in(bytes);
  const std::size_t size = in.number(2) & 0x7fff;
  if (in.left().size() < size) return std::nullopt;
  Reader body(in.bytes(size));
  ServerAnswer answer;
  const bool hello = body.number(1) == 4;
  body.number(2);  // whether a session goes on, and the certificate's type
  answer.version = static_cast<Version>(body.number(2));
  const std::size_t certificate = body.number(2);
  const std::size_t list = body.number(2);
  body.number(2);
  const std::string_view der = body.bytes(certificate);
  Reader suites(body.bytes(list));
  if (!hello || answer.version != Version::ssl2 || body.failed()) {
    answer.version = {};
    return answer;  // foreign
  }
  if (!der.empty()) answer.certificates.emplace_back(der);
  while (suites.left().size() >= 3)
    answer.suites_of_ssl2.push_back(static_cast<std::uint32_t>(suites.number(3)));
  answer.kind = ServerAnswer::Kind::hello;
  return answer;
}

ServerAnswer refusal(std::uint8_t alert) {
  ServerAnswer answer;
  answer.kind = ServerAnswer::Kind::alert;
  answer.alert = alert;
  return answer;
}

/// nullopt: the messages that are wanted are not all there.
std::optional<ServerAnswer> read_messages(std::string_view bytes, ReadUntil until) {
  ServerAnswer answer;
  Reader in(bytes);
  for (bool first = true; in.left().size() >= 4; first = false) {
    const std::size_t type = in.number(1);
    const std::size_t size = in.number(3);
    if (first && type != kServerHello) return ServerAnswer{};
    if (size > kTlsAnswerMax) return ServerAnswer{};
    if (in.left().size() < size) return std::nullopt;
    const std::string_view body = in.bytes(size);
    if (type == kServerHello) {
      if (!first) return ServerAnswer{};
      read_hello(body, answer);
      if (until == ReadUntil::hello || !answer.agreed() || answer.version == Version::tls13)
        return answer;
    } else if (type == kCertificate) {
      read_certificates(body, answer);
    } else if (type == kServerKeyExchange) {
      read_key_exchange(body, answer);
      return answer;
    } else if (type == kServerHelloDone) {
      return answer;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string client_hello(const Offer& offer, std::string_view random) {
  if (offer.version == Version::ssl2) return hello_of_ssl2(offer, random);
  const bool tls13 = offer.version == Version::tls13;
  std::string body;
  put(body, static_cast<std::size_t>(tls13 ? Version::tls12 : offer.version), 2);
  body += random.substr(0, 32);
  put_sized(body, tls13 ? random.substr(0, 32) : std::string_view(), 1);  // RFC 8446, D.4
  std::string list = numbers(offer.suites);
  if (!tls13) put(list, kRenegotiationScsv, 2);
  put_sized(body, list, 2);
  put_sized(body, offer.compression ? std::string_view("\1\0", 2) : std::string_view("\0", 1), 1);
  // Servers of SSL 3 were written before there were extensions.
  if (offer.version > Version::ssl3) put_sized(body, extensions_of(offer), 2);

  std::string message;
  put(message, kClientHello, 1);
  put_sized(message, body, 3);
  std::string record;
  put(record, kHandshakeRecord, 1);
  put(record, offer.version == Version::ssl3 ? 0x0300 : 0x0301, 2);
  put_sized(record, message, 2);
  return record;
}

std::optional<ServerAnswer> read_server(std::string_view bytes, ReadUntil until) {
  if (bytes.size() < 5) return std::nullopt;
  if ((static_cast<unsigned char>(bytes[0]) & 0x80) != 0 && bytes[2] == 4) {
    if (const auto answer = read_ssl2(bytes)) return answer;
  } else {
    const Messages joined = join_records(bytes);
    if (joined.foreign) return ServerAnswer{};
    if (!joined.bytes.empty()) {
      if (const auto answer = read_messages(joined.bytes, until)) return answer;
    }
    if (joined.alert) return refusal(*joined.alert);
  }
  if (bytes.size() > kTlsAnswerMax) return ServerAnswer{};
  return std::nullopt;
}

std::string alert_name(std::uint8_t alert) {
  switch (alert) {
    case 0:
      return "close_notify";
    case 40:
      return "handshake_failure";
    case 47:
      return "illegal_parameter";
    case 70:
      return "protocol_version";
    case 71:
      return "insufficient_security";
    case 80:
      return "internal_error";
    case 86:
      return "inappropriate_fallback";
    case 112:
      return "unrecognized_name";
    default:
      return fmt::format("alert {}", alert);
  }
}

}  // namespace fw::tls
