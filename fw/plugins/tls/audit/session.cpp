// One whole TLS connection by OpenSSL, with whatever the server can.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/session.hpp"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>
#include <openssl/ct.h>
#include <openssl/err.h>
#include <poll.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/audit/openssl.hpp"

namespace fw::tls {
namespace {

Error failure(const char* what) {
  const unsigned long reason = ::ERR_peek_last_error();
  const char* const words = reason != 0 ? ::ERR_reason_error_string(reason) : nullptr;
  ::ERR_clear_error();
  return {ErrorCode::unsupported,
          words != nullptr ? fmt::format("{}: {}", what, words) : std::string(what),
          {},
          {},
          0};
}

/// OpenSSL writes to sockets without MSG_NOSIGNAL, and a server may close at any time: while this
/// lives, this thread gets no SIGPIPE.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoBrokenPipe() {
    const ::timespec at_once{};
    if (::sigismember(&before_, SIGPIPE) == 0) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  ::sigset_t pipe_{};
  ::sigset_t before_{};
};

/// Takes everything that OpenSSL can: the server is to be looked at, not to be protected from.
ContextPtr make_context() {
  ContextPtr context(::SSL_CTX_new(::TLS_client_method()));
  if (!context) return context;
  ::SSL_CTX_set_security_level(context.get(), 0);
  ::SSL_CTX_set_min_proto_version(context.get(), 0);
  ::SSL_CTX_set_cipher_list(context.get(), "ALL:COMPLEMENTOFALL:!aNULL:@SECLEVEL=0");
  ::SSL_CTX_set_options(context.get(), SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  ::SSL_CTX_set_max_cert_list(context.get(), static_cast<long>(kTlsAnswerMax));
  ::SSL_CTX_set_tlsext_status_type(context.get(), TLSEXT_STATUSTYPE_ocsp);
  ::SSL_CTX_enable_ct(context.get(), SSL_CT_VALIDATION_PERMISSIVE);
  ::ERR_clear_error();
  return context;
}

/// Runs a step of OpenSSL until it is done; false: it failed, or the time was up.
template <class Step>
int until_done(SSL* ssl, Clock::time_point deadline, Step step) {
  for (;;) {
    ::ERR_clear_error();
    const int done = step();
    if (done > 0) return done;
    const int error = ::SSL_get_error(ssl, done);
    const bool reads = error == SSL_ERROR_WANT_READ;
    if (!reads && error != SSL_ERROR_WANT_WRITE) return done;
    if (!wait_for(::SSL_get_fd(ssl), reads ? POLLIN : POLLOUT, deadline)) return -1;
  }
}

std::vector<std::string> chain_of(const SSL* ssl) {
  std::vector<std::string> chain;
  const STACK_OF(X509)* const sent = ::SSL_get_peer_cert_chain(ssl);
  for (int i = 0; sent != nullptr && i < sk_X509_num(sent); ++i) {
    if (chain.size() == kTlsChainMax) break;
    unsigned char* der = nullptr;
    const int size = ::i2d_X509(sk_X509_value(sent, i), &der);
    if (size < 0) continue;
    chain.emplace_back(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    ::OPENSSL_free(der);
  }
  return chain;
}

void ask_http(SSL* ssl, const Target& target, Clock::time_point deadline, SessionFacts& facts) {
  const Ip& ip = target.endpoint.ip;
  const bool bare6 = target.name == to_string(ip) && ip.family == Family::ipv6;
  std::string host = bare6 ? "[" + target.name + "]" : target.name;
  if (target.endpoint.port != 443) host += fmt::format(":{}", target.endpoint.port);
  const std::string request = http_request(host);
  const int sent = until_done(ssl, deadline, [&] {
    return ::SSL_write(ssl, request.data(), static_cast<int>(request.size()));
  });
  std::string bytes;
  char buffer[16 * 1024];
  while (sent > 0 && !has_head(bytes)) {
    if (bytes.size() > kTlsHeaderBytesMax) {
      facts.no_head = fmt::format("its headers are longer than {} KiB", kTlsHeaderBytesMax >> 10);
      return;
    }
    const int got =
        until_done(ssl, deadline, [&] { return ::SSL_read(ssl, buffer, sizeof buffer); });
    if (got <= 0) break;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
  facts.head = parse_head(bytes);
  if (!facts.head) facts.no_head = "it did not answer a request of HTTP";
}

}  // namespace

Result<SessionFacts> open_session(const Target& target, AskHttp http, Clock::time_point deadline) {
  deadline = std::min(deadline, Clock::now() + kTlsPatience);
  const auto socket = connect_to(target, deadline);
  if (!socket) return std::unexpected(socket.error());
  const NoBrokenPipe no_signal;
  const ContextPtr context = make_context();
  const SslPtr ssl(context ? ::SSL_new(context.get()) : nullptr);
  if (!ssl || ::SSL_set_fd(ssl.get(), socket->fd()) != 1)
    return std::unexpected(failure("OpenSSL does not begin"));
  if (!parse_ip(target.name)) ::SSL_set_tlsext_host_name(ssl.get(), target.name.c_str());
  if (until_done(ssl.get(), deadline, [&] { return ::SSL_connect(ssl.get()); }) <= 0)
    return std::unexpected(failure("no TLS session with the server"));
  SessionFacts facts;
  facts.version = ::SSL_get_version(ssl.get());
  facts.chain = chain_of(ssl.get());
  const unsigned char* response = nullptr;
  facts.stapled = ::SSL_get_tlsext_status_ocsp_resp(ssl.get(), &response) > 0;
  if (const STACK_OF(SCT)* const scts = ::SSL_get0_peer_scts(ssl.get()))
    facts.scts = sk_SCT_num(scts);
  if (http == AskHttp::yes) ask_http(ssl.get(), target, deadline, facts);
  ::SSL_shutdown(ssl.get());
  ::ERR_clear_error();
  return facts;
}

}  // namespace fw::tls
