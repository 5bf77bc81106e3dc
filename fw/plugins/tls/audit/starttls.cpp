// What a client says before TLS begins, in the protocols of mail.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/starttls.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::tls {
namespace {

constexpr std::array<std::pair<std::string_view, Starttls>, 5> kNames{{{"smtp", Starttls::smtp},
                                                                       {"lmtp", Starttls::lmtp},
                                                                       {"imap", Starttls::imap},
                                                                       {"pop3", Starttls::pop3},
                                                                       {"sieve", Starttls::sieve}}};

enum class Line : std::uint8_t { goes_on, yes, no };

/// RFC 5321, 4.2.1: "250-STARTTLS" goes on, "250 HELP" does not.
Line of_smtp(std::string_view line) {
  if (line.size() > 3 && line[3] == '-') return Line::goes_on;
  return line.starts_with('2') ? Line::yes : Line::no;
}
Line of_imap(std::string_view line, bool greeting) {
  if (greeting) return line.starts_with("* OK") ? Line::yes : Line::no;
  if (line.starts_with("* ")) return Line::goes_on;
  return line.starts_with("a OK") ? Line::yes : Line::no;
}
Line of_pop3(std::string_view line) { return line.starts_with("+OK") ? Line::yes : Line::no; }
/// RFC 5804, 1.2: capabilities, a line each, and then a response.
Line of_sieve(std::string_view line) {
  if (line.starts_with('"')) return Line::goes_on;
  return line.starts_with("OK") ? Line::yes : Line::no;
}

Line reply_of(Starttls protocol, std::string_view line, bool greeting) {
  switch (protocol) {
    case Starttls::none:
      return Line::yes;
    case Starttls::smtp:
    case Starttls::lmtp:
      return of_smtp(line);
    case Starttls::imap:
      return of_imap(line, greeting);
    case Starttls::pop3:
      return of_pop3(line);
    case Starttls::sieve:
      return of_sieve(line);
  }
  return Line::no;
}

/// After so many complete replies; "" when TLS begins.
std::string_view said_after(Starttls protocol, int replies) {
  switch (protocol) {
    case Starttls::smtp:
      return replies == 1 ? "EHLO localhost\r\n" : replies == 2 ? "STARTTLS\r\n" : "";
    case Starttls::lmtp:
      return replies == 1 ? "LHLO localhost\r\n" : replies == 2 ? "STARTTLS\r\n" : "";
    case Starttls::imap:
      return replies == 1 ? "a STARTTLS\r\n" : "";
    case Starttls::pop3:
      return replies == 1 ? "STLS\r\n" : "";
    case Starttls::sieve:
      return replies == 1 ? "STARTTLS\r\n" : "";
    case Starttls::none:
      break;
  }
  return "";
}

}  // namespace

std::optional<Starttls> parse_starttls(std::string_view name) {
  for (const auto& [known, protocol] : kNames) {
    if (known == name) return protocol;
  }
  return std::nullopt;
}

std::string Greeting::on(std::string_view bytes) {
  std::string say;
  for (const char c : bytes) {
    if (done() || !failure_.empty()) break;  // nothing may follow its consent
    if (++seen_ > kTlsGreetingMax) {
      failure_ = "greets without an end";
      break;
    }
    if (c != '\n') {
      line_ += c;
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    say += on_line(line_);
    line_.clear();
  }
  return say;
}

std::string Greeting::on_line(std::string_view line) {
  const bool mail = protocol_ == Starttls::smtp || protocol_ == Starttls::lmtp;
  if (mail && step_ == 1 && line.substr(std::min<std::size_t>(4, line.size())) == "STARTTLS")
    offered_ = true;
  const Line reply = reply_of(protocol_, line, step_ == 0);
  if (reply == Line::goes_on) return {};
  if (reply == Line::no) {
    failure_ = "answered " + quote(line);
    return {};
  }
  ++step_;
  if (mail && step_ == 2 && !offered_) {
    failure_ = "offers no STARTTLS";
    return {};
  }
  const std::string_view next = said_after(protocol_, step_);
  done_ = next.empty();
  return std::string(next);
}

}  // namespace fw::tls
