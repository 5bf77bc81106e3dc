// What certificates say, and whether a chain of them is to be trusted.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/plugins/tls/audit/grade.hpp"

namespace fw::tls {

using CertificateTime = std::chrono::sys_seconds;

/// Texts are safe to print.
struct CertificateFacts {
  std::string subject;  ///< its common name, or all of it
  std::string issuer;
  std::vector<std::string> names;  ///< for which it is, at most kTlsNamesMax
  KeyStrength key;
  std::string key_name;   ///< "RSA 2048", "EC 256 prime256v1"
  std::string signature;  ///< "RSA-SHA256"
  CertificateTime not_before{};
  CertificateTime not_after{};
  bool self_signed = false;
  bool sha1 = false;  ///< signed with it
  bool md5 = false;   ///< or MD2
  bool has_ocsp = false;
  bool names_issuer = false;  ///< says where its issuer's certificate is to be had

  bool operator==(const CertificateFacts&) const = default;
};

/// Of one in DER.
Result<CertificateFacts> read_certificate(const std::string& der);

/// The authorities that are trusted: the system's, and those of a file.
class Roots {
 public:
  /// PEM; `extra` "" for none.
  static Result<Roots> load(const std::string& extra);

  struct Verdict {
    Trust trust = Trust::untrusted;
    std::string why;  ///< OpenSSL's words; "" when it is trusted
    bool name_fits = false;
  };
  /// `chain` is as the server sent it, its own certificate first; `name` a name or an address.
  Result<Verdict> judge(const std::vector<std::string>& chain, const std::string& name,
                        CertificateTime now) const;

 private:
  struct Store;
  std::shared_ptr<const Store> store_;
};

}  // namespace fw::tls
