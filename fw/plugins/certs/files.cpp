// Certificates and keys in files.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/files.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw::certs {
namespace {

template <auto Free>
struct Freed {
  void operator()(auto* object) const { Free(object); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

Result<std::string> read_pem(const std::string& path) {
  const auto text = read_text_file(path, kCertificateBytesMax);
  if (!text) {
    const ErrorCode code = text.error() == ENOENT ? ErrorCode::missing : ErrorCode::io;
    return fail(code, fmt::format("{}: {}", path, why_unreadable(text.error())));
  }
  if (text->size() > kCertificateBytesMax)
    return fail(ErrorCode::io,
                fmt::format("{} is larger than {} bytes", path, kCertificateBytesMax));
  return *text;
}

Bio memory(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// A key with a passphrase is not asked for it.
int no_passphrase(char*, int, int, void*) { return -1; }

Certificate parse_certificate(const std::string& pem) {
  Certificate parsed(::PEM_read_bio_X509(memory(pem).get(), nullptr, no_passphrase, nullptr));
  ::ERR_clear_error();
  return parsed;
}

}  // namespace

Result<tls::CertificateFacts> read_certificate_file(const std::string& path) {
  const auto pem = read_pem(path);
  if (!pem) return std::unexpected(pem.error());
  const Certificate parsed = parse_certificate(*pem);
  if (!parsed) return fail(ErrorCode::io, path + " holds no certificate in PEM");
  unsigned char* der = nullptr;
  const int size = ::i2d_X509(parsed.get(), &der);
  if (size <= 0) return fail(ErrorCode::memory, "there is not enough memory");
  const std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  ::OPENSSL_free(der);
  return tls::read_certificate(bytes);
}

Result<void> key_fits(const std::string& certificate_path, const std::string& key_path) {
  const auto pem = read_pem(certificate_path);
  if (!pem) return std::unexpected(pem.error());
  const auto key_pem = read_pem(key_path);
  if (!key_pem) return std::unexpected(key_pem.error());
  const Certificate certificate = parse_certificate(*pem);
  const Key key(::PEM_read_bio_PrivateKey(memory(*key_pem).get(), nullptr, no_passphrase, nullptr));
  const bool fits =
      certificate && key && ::X509_check_private_key(certificate.get(), key.get()) == 1;
  ::ERR_clear_error();
  if (!key)
    return fail(ErrorCode::io, key_path + " holds no private key in PEM without a passphrase");
  if (!fits) return fail(ErrorCode::io, fmt::format("{} is not its key", key_path));
  return {};
}

}  // namespace fw::certs
