// What a client says before TLS begins, in the protocols of mail. Pure.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fw::tls {

enum class Starttls : std::uint8_t { none, smtp, lmtp, imap, pop3, sieve };

/// "smtp"; nullopt: it is none of them.
std::optional<Starttls> parse_starttls(std::string_view name);

/// A dialogue with a server that is asked for TLS.
class Greeting {
 public:
  explicit Greeting(Starttls protocol) : protocol_(protocol) {}

  /// TLS may begin: the next bytes are the client's hello.
  bool done() const { return protocol_ == Starttls::none || done_; }
  /// Why it will never begin; "" while it may.
  const std::string& failure() const { return failure_; }
  /// Takes what came, and gives what is to be sent.
  std::string on(std::string_view bytes);

 private:
  std::string on_line(std::string_view line);

  Starttls protocol_;
  int step_ = 0;  ///< replies that were complete
  std::string line_;
  std::size_t seen_ = 0;  ///< bytes
  bool offered_ = false;  ///< the reply to EHLO named STARTTLS
  bool done_ = false;
  std::string failure_;
};

}  // namespace fw::tls
