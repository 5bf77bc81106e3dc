// What servers answer to an audit of TLS: hellos, certificates, heads of HTTP, greetings of mail.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <string>
#include <string_view>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/audit/certificate.hpp"
#include "fw/plugins/tls/audit/hello.hpp"
#include "fw/plugins/tls/audit/host.hpp"
#include "fw/plugins/tls/audit/http.hpp"
#include "fw/plugins/tls/audit/starttls.hpp"

namespace {

/// Whatever was read keeps its bounds and has names.
void read_as_server(std::string_view bytes, fw::tls::ReadUntil until) {
  const auto answer = fw::tls::read_server(bytes, until);
  if (!answer) return;
  if (answer->certificates.size() > fw::kTlsChainMax) __builtin_trap();
  fw::tls::suite_name(answer->suite);
  if (answer->group) fw::tls::group_name(*answer->group);
}

void read_as_http(std::string_view text) {
  const auto head = fw::tls::parse_head(text);
  if (!head) return;
  if (!fw::tls::has_head(text) || head->headers.size() > fw::kHttpHeadersMax) __builtin_trap();
  fw::tls::hsts_of(head->find("strict-transport-security"));
  fw::tls::header_flaws(*head, fw::tls::plain_headers({}, {}));
  fw::tls::cookie_flaws(*head);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_as_server(text, fw::tls::ReadUntil::hello);
  read_as_server(text, fw::tls::ReadUntil::keys);
  read_as_http(text);
  const auto certificate = fw::tls::read_certificate(std::string(text));
  if (certificate && certificate->names.size() > fw::kTlsNamesMax) __builtin_trap();
  for (const auto protocol : {fw::tls::Starttls::smtp, fw::tls::Starttls::imap,
                              fw::tls::Starttls::pop3, fw::tls::Starttls::sieve}) {
    fw::tls::Greeting greeting(protocol);
    greeting.on(text.substr(0, size / 2));
    greeting.on(text.substr(size / 2));
  }
  if (const auto host = fw::tls::parse_host(text); host && host->name.empty()) __builtin_trap();
  return 0;
}
