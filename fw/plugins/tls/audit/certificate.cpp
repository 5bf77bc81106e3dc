// What certificates say, and whether a chain of them is to be trusted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/certificate.hpp"

#include <ctime>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "fw/base/address.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/audit/openssl.hpp"

namespace fw::tls {
namespace {

constexpr std::size_t kNameShown = 128;

X509Ptr parse(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509Ptr parsed(::d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ::ERR_clear_error();
  return parsed;
}

std::string text_of(const ASN1_STRING* string) {
  unsigned char* utf8 = nullptr;
  const int size = ::ASN1_STRING_to_UTF8(&utf8, string);
  if (size < 0) return {};
  const std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  ::OPENSSL_free(utf8);
  return printable(text, kNameShown);
}

/// The common name, or what else there is.
std::string name_of(const X509_NAME* name) {
  for (const int kind : {NID_commonName, NID_organizationalUnitName, NID_organizationName}) {
    const int at = ::X509_NAME_get_index_by_NID(name, kind, -1);
    if (at >= 0) return text_of(::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at)));
  }
  return "without a name";
}

CertificateTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return CertificateTime{std::chrono::seconds{::timegm(&parts)}};
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  const NamesPtr all(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = all ? sk_GENERAL_NAME_num(all.get()) : 0;
  for (int i = 0; i < count && names.size() < kTlsNamesMax; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) names.push_back(text_of(name->d.dNSName));
    if (name->type != GEN_IPADD) continue;
    const ASN1_OCTET_STRING* const bytes = name->d.iPAddress;
    if (bytes->length == 4 || bytes->length == 16) {
      const Family family = bytes->length == 4 ? Family::ipv4 : Family::ipv6;
      names.push_back(to_string(ip_from_bytes(family, bytes->data)));
    }
  }
  return names;
}

void read_key(const X509* certificate, CertificateFacts& facts) {
  const EVP_PKEY* const key = ::X509_get0_pubkey(certificate);
  if (key == nullptr) {
    facts.key_name = "a key that cannot be read";
    return;
  }
  const int type = ::EVP_PKEY_get_base_id(key);
  facts.key.bits = ::EVP_PKEY_get_bits(key);
  if (type == EVP_PKEY_EC || type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448)
    facts.key.kind = KeyStrength::Kind::elliptic;
  char group[64] = "";
  std::size_t size = 0;
  if (type == EVP_PKEY_EC) ::EVP_PKEY_get_group_name(key, group, sizeof group, &size);
  const char* const name = ::OBJ_nid2sn(type);
  facts.key_name = type == EVP_PKEY_EC    ? fmt::format("EC {} {}", facts.key.bits, group)
                   : type == EVP_PKEY_RSA ? fmt::format("RSA {}", facts.key.bits)
                                          : fmt::format("{} {}", name, facts.key.bits);
}

void read_signature(const X509* certificate, CertificateFacts& facts) {
  int digest = NID_undef;
  ::X509_get_signature_info(const_cast<X509*>(certificate), &digest, nullptr, nullptr, nullptr);
  facts.signature = ::OBJ_nid2sn(::X509_get_signature_nid(certificate));
  facts.sha1 = digest == NID_sha1;
  facts.md5 = digest == NID_md5 || digest == NID_md2;
}

void read_access(const X509* certificate, CertificateFacts& facts) {
  const AccessPtr all(static_cast<AUTHORITY_INFO_ACCESS*>(
      ::X509_get_ext_d2i(certificate, NID_info_access, nullptr, nullptr)));
  for (int i = 0; all && i < sk_ACCESS_DESCRIPTION_num(all.get()); ++i) {
    const int method = ::OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(all.get(), i)->method);
    facts.has_ocsp |= method == NID_ad_OCSP;
    facts.names_issuer |= method == NID_ad_ca_issuers;
  }
}

/// What a failed verification means; `names_issuer` of the last certificate that was found.
Trust trust_of(int error, bool names_issuer) {
  switch (error) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return Trust::self_signed;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Trust::expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Trust::not_yet;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return Trust::untrusted;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return names_issuer ? Trust::incomplete : Trust::untrusted;
    default:
      return Trust::broken;
  }
}

bool fits(X509* certificate, const std::string& name) {
  if (parse_ip(name)) return ::X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  return ::X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
}

/// The authorities' certificates come from the store; all others the server has to send.
bool was_sent_whole(X509_STORE_CTX* context, const STACK_OF(X509) * sent) {
  const STACK_OF(X509)* const built = ::X509_STORE_CTX_get0_chain(context);
  for (int i = 1; i < sk_X509_num(built); ++i) {
    X509* const one = sk_X509_value(built, i);
    if (::X509_self_signed(one, 0) == 1) continue;
    bool found = false;
    for (int j = 0; j < sk_X509_num(sent) && !found; ++j)
      found = ::X509_cmp(one, sk_X509_value(sent, j)) == 0;
    if (!found) return false;
  }
  return true;
}

}  // namespace

Result<CertificateFacts> read_certificate(const std::string& der) {
  const X509Ptr parsed = parse(der);
  if (!parsed) return fail(ErrorCode::unsupported, "the server's certificate cannot be read");
  CertificateFacts facts;
  facts.subject = name_of(::X509_get_subject_name(parsed.get()));
  facts.issuer = name_of(::X509_get_issuer_name(parsed.get()));
  facts.names = names_of(parsed.get());
  read_key(parsed.get(), facts);
  read_signature(parsed.get(), facts);
  read_access(parsed.get(), facts);
  facts.not_before = time_of(::X509_get0_notBefore(parsed.get()));
  facts.not_after = time_of(::X509_get0_notAfter(parsed.get()));
  facts.self_signed = ::X509_self_signed(parsed.get(), 0) == 1;
  ::ERR_clear_error();
  return facts;
}

struct Roots::Store {
  StorePtr store;
};

Result<Roots> Roots::load(const std::string& extra) {
  StorePtr store(::X509_STORE_new());
  if (!store) return fail(ErrorCode::memory, "there is not enough memory");
  // A system without authorities trusts only those of the file.
  ::X509_STORE_set_default_paths(store.get());
  if (!extra.empty() && ::X509_STORE_load_file(store.get(), extra.c_str()) != 1) {
    ::ERR_clear_error();
    return fail(ErrorCode::usage,
                fmt::format("{} cannot be read as certificates in PEM", quote(extra)));
  }
  ::ERR_clear_error();
  Roots roots;
  roots.store_ = std::make_shared<const Store>(Store{std::move(store)});
  return roots;
}

Result<Roots::Verdict> Roots::judge(const std::vector<std::string>& chain, const std::string& name,
                                    CertificateTime now) const {
  std::vector<X509Ptr> certificates;
  const StackPtr sent(sk_X509_new_null());
  for (const std::string& der : chain) {
    certificates.push_back(parse(der));
    if (!certificates.back()) {
      if (certificates.size() == 1)
        return fail(ErrorCode::unsupported, "the server's certificate cannot be read");
      certificates.pop_back();
      continue;
    }
    sk_X509_push(sent.get(), certificates.back().get());
  }
  const StoreContextPtr context(::X509_STORE_CTX_new());
  if (certificates.empty() || !context ||
      ::X509_STORE_CTX_init(context.get(), store_->store.get(), certificates.front().get(),
                            sent.get()) != 1)
    return fail(ErrorCode::unsupported, "the server sent no certificate");
  X509_VERIFY_PARAM* const how = ::X509_STORE_CTX_get0_param(context.get());
  ::X509_STORE_CTX_set_default(context.get(), "ssl_server");
  ::X509_VERIFY_PARAM_set_time(how, now.time_since_epoch().count());
  Verdict verdict;
  verdict.name_fits = fits(certificates.front().get(), name);
  if (::X509_verify_cert(context.get()) == 1) {
    verdict.trust = was_sent_whole(context.get(), sent.get()) ? Trust::trusted : Trust::incomplete;
  } else {
    const int error = ::X509_STORE_CTX_get_error(context.get());
    CertificateFacts last;
    if (X509* const at = ::X509_STORE_CTX_get_current_cert(context.get())) read_access(at, last);
    verdict.trust = trust_of(error, last.names_issuer);
    verdict.why = ::X509_verify_cert_error_string(error);
  }
  ::ERR_clear_error();
  return verdict;
}

}  // namespace fw::tls
