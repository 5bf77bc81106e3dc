// Certificates of every kind, and an nginx with a site for each way to be good or bad at TLS.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/lab/process.hpp"

namespace lab {

inline constexpr const char* kTlsName = "wiki.example.org";

/// A site on a port of its own, and what it deserves.
struct TlsSite {
  std::string name;
  std::string certificate;      ///< of those that kTlsCertificates makes
  std::string lines;            ///< of nginx, in the server
  std::string grade_q;          ///< by 2009q
  std::string grade_r;          ///< by 2009r
  std::set<std::string> rules;  ///< of the findings by 2009r, those of HTTP aside
  /// What testssl.sh says instead of grade_q, and docs/tls.md says why; "": the same.
  std::string testssl = "";
};

inline constexpr int kTlsFirstPort = 8400;

/// Into the working folder: root.pem, inter.pem, and NAME.pem with NAME.key for each.
inline constexpr const char* kTlsCertificates = R"(
key() { openssl genpkey -algorithm "$2" -pkeyopt "$3" -out "$1.key" 2>/dev/null; }
ec() { key "$1" EC ec_paramgen_curve:P-256; }
rsa() { key "$1" RSA "rsa_keygen_bits:$2"; }
authority() {
  ec "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 3650 -out "$1.pem" \
    -addext keyUsage=critical,keyCertSign,cRLSign
}
# leaf NAME SAN ISSUER OPTION...
leaf() {
  local name=$1 san=$2 issuer=$3
  shift 3
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$san" >"$name.ext"
  if [[ $name == alone ]]; then
    echo "authorityInfoAccess=caIssuers;URI:http://ca.invalid/$issuer.crt" >>"$name.ext"
  fi
  openssl req -new -key "$name.key" -subj "/CN=$name of wiki" |
    openssl x509 -req -CA "$issuer.pem" -CAkey "$issuer.key" -extfile "$name.ext" -days 90 "$@" \
      -out "$name.pem" 2>/dev/null
}
whole() { cat inter.pem >>"$1.pem"; }
authority root 'Lab Root'
authority stranger 'A Stranger'
ec inter
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' >inter.ext
openssl req -new -key inter.key -subj '/CN=Lab Intermediate' |
  openssl x509 -req -CA root.pem -CAkey root.key -extfile inter.ext -days 3650 -out inter.pem 2>/dev/null
name=DNS:wiki.example.org
ec good; leaf good $name inter; whole good
rsa rsa 2048; leaf rsa $name inter; whole rsa
rsa short 1024; leaf short $name inter; whole short
ec sha1; leaf sha1 $name inter -sha1; whole sha1
ec expired; leaf expired $name inter -days -1; whole expired
ec other; leaf other DNS:other.example.org inter; whole other
ec alone; leaf alone $name inter
ec untrusted; leaf untrusted $name stranger
ec selfsigned
openssl req -x509 -new -key selfsigned.key -subj /CN=wiki.example.org -days 90 -out selfsigned.pem \
  -addext subjectAltName=$name -addext basicConstraints=critical,CA:FALSE
cp good.pem endless.pem; cp good.key endless.key
for ((i = 0; i < 1000; i++)); do cat inter.pem; done >>endless.pem
openssl dhparam -dsaparam -out dh1024.pem 1024 2>/dev/null
)";

inline constexpr const char* kTlsHeaders = R"(
add_header X-Content-Type-Options nosniff always;
add_header X-Frame-Options SAMEORIGIN always;
add_header X-XSS-Protection "1; mode=block" always;
add_header X-Download-Options noopen always;
add_header X-Permitted-Cross-Domain-Policies none always;
add_header Referrer-Policy no-referrer-when-downgrade always;
)";

inline const std::string kTlsHsts =
    "add_header Strict-Transport-Security \"max-age=63072000\" always;\n";
inline const std::string kTlsModern = "ssl_protocols TLSv1.2 TLSv1.3;\n" + kTlsHsts;
inline const std::string kTls12 = "ssl_protocols TLSv1.2;\n" + kTlsHsts;

inline std::string tls_ciphers(const std::string& list) {
  return "ssl_ciphers \"" + list + "@SECLEVEL=0\";\n";
}

inline const std::string kTlsWide = tls_ciphers("ECDHE:!eNULL:");

inline const std::vector<TlsSite> kTlsSites{
    {"tls13", "good", "ssl_protocols TLSv1.3;\n" + kTlsHsts, "A+", "A+", {}},
    {"intermediate",
     "good",
     kTlsModern + tls_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:"),
     "A+",
     "A+",
     {}},
    {"rsa", "rsa", kTlsModern, "A+", "A+", {}},
    {"two-keys",
     "good",
     kTlsModern + "ssl_certificate rsa.pem;\nssl_certificate_key rsa.key;\n",
     "A+",
     "A+",
     {}},
    {"tls12", "good", kTls12 + tls_ciphers("ECDHE+AESGCM:"), "A+", "A-", {"tls-no-tls13"}},
    {"no-hsts", "good", "ssl_protocols TLSv1.2 TLSv1.3;\n", "A", "A", {"tls-no-hsts"}},
    {"short-hsts",
     "good",
     "ssl_protocols TLSv1.2 TLSv1.3;\n"
     "add_header Strict-Transport-Security max-age=86400 always;\n",
     "A",
     "A-",
     {"tls-short-hsts"}},
    {"tls11",
     "rsa",
     "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;\n" + kTlsWide + kTlsHsts,
     "B",
     "B",
     {"tls-old-version"}},
    {"tls10",
     "rsa",
     "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;\n" + kTlsWide + kTlsHsts,
     "B",
     "B",
     {"tls-old-version"}},
    {"old-only",
     "rsa",
     "ssl_protocols TLSv1 TLSv1.1;\n" + kTlsWide + kTlsHsts,
     "C",
     "C",
     {"tls-old-version", "tls-no-modern-version", "tls-no-tls13", "tls-no-aead"}},
    {"no-forward-secrecy",
     "rsa",
     kTls12 + tls_ciphers("AES128-GCM-SHA256:AES256-GCM-SHA384:"),
     "B",
     "B",
     {"tls-no-forward-secrecy", "tls-no-tls13"}},
    {"no-aead",
     "rsa",
     kTls12 + tls_ciphers("ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:"),
     "B",
     "B",
     {"tls-no-aead", "tls-no-tls13"},
     "A+"},
    {"no-encryption",
     "rsa",
     kTls12 + tls_ciphers("ECDHE+AESGCM:ECDHE-RSA-NULL-SHA:"),
     "F",
     "F",
     {"tls-weak-cipher", "tls-no-tls13"}},
    {"anonymous",
     "rsa",
     kTls12 + tls_ciphers("ECDHE+AESGCM:AECDH-AES256-SHA:"),
     "F",
     "F",
     {"tls-anonymous", "tls-weak-key", "tls-no-tls13"},
     "A+"},
    {"short-dh",
     "rsa",
     kTls12 + "ssl_dhparam dh1024.pem;\n" + tls_ciphers("DHE+AESGCM:ECDHE+AESGCM:"),
     "B",
     "B",
     {"tls-weak-key", "tls-no-tls13"},
     "A+"},
    {"self-signed", "selfsigned", kTlsModern, "T", "T", {"tls-untrusted"}},
    {"expired", "expired", kTlsModern, "T", "T", {"tls-untrusted"}},
    {"other-name", "other", kTlsModern, "M", "M", {"tls-wrong-name"}},
    {"short-key", "short", kTlsModern + kTlsWide, "B", "B", {"tls-weak-key"}},
    {"sha1", "sha1", kTlsModern + kTlsWide, "T", "T", {"tls-sha1"}},
    {"incomplete", "alone", kTlsModern, "T", "B", {"tls-incomplete-chain"}},
    {"untrusted", "untrusted", kTlsModern, "T", "T", {"tls-untrusted"}},
};

/// One nginx with all of them, on all addresses of a namespace; and the site `intermediate` as it
/// should be on 443 and 80.
class TlsServer {
 public:
  explicit TlsServer(const Namespace& where) : where_(where) {
    run_script(std::string("set -eu\ncd ") + dir_.path() + "\n" + kTlsCertificates);
    write_file(dir_ / "nginx.conf", config());
    nginx_.emplace(where_,
                   std::vector<std::string>{"nginx", "-p", dir_.path(), "-c", dir_ / "nginx.conf"});
    if (!eventually([this] { return listens(port_of(kTlsSites.back().name)); }))
      fail("nginx does not begin: " + nginx_->err_so_far());
  }

  std::string file(const std::string& name) const { return dir_ / name; }
  const Namespace& where() const { return where_; }

  static int port_of(const std::string& name) {
    int port = kTlsFirstPort;
    for (const TlsSite& site : kTlsSites) {
      if (site.name == name) return port;
      ++port;
    }
    return port;
  }
  static int port_of_endless_chain() { return kTlsFirstPort - 1; }

  bool listens(int port) const {
    const std::string of_port = "/" + std::to_string(port);
    return run(where_,
               {"bash", "-c", ": </dev/tcp/127.0.0.1" + of_port + " </dev/tcp/::1" + of_port})
        .ok();
  }

 private:
  void run_script(const std::string& script) const { must_run(where_, {"bash", "-c", script}); }

  static std::string server(const std::string& ports, const std::string& certificate,
                            const std::string& lines) {
    return "server {\n" + ports + "server_name " + kTlsName + ";\nssl_certificate " + certificate +
           ".pem;\nssl_certificate_key " + certificate + ".key;\n" + kTlsHeaders + lines +
           "return 200 \"hello\\n\";\n}\n";
  }
  static std::string listen(int port, const char* more = "") {
    const std::string number = std::to_string(port);
    return "listen " + number + " ssl" + more + ";\nlisten [::]:" + number + " ssl" + more + ";\n";
  }
  std::string config() const {
    std::string text = "daemon off;\nmaster_process off;\nuser root;\npid " + (dir_ / "pid") +
                       ";\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      text += std::string(kind) + "_temp_path " + dir_.path() + "/tmp;\n";
    for (const TlsSite& site : kTlsSites)
      text += server(listen(port_of(site.name)), site.certificate, site.lines);
    text += server(listen(port_of_endless_chain()), "endless", kTlsModern);
    text += server(listen(443), "good", kTlsModern + tls_ciphers("ECDHE+AESGCM:"));
    text += "server {\n" + listen(443, " default_server") +
            "ssl_protocols TLSv1.2 TLSv1.3;\nssl_reject_handshake on;\n}\n";
    text += "server {\nlisten 80;\nlisten [::]:80;\nreturn 308 https://$host$request_uri;\n}\n";
    return text + "}\n";
  }

  const Namespace& where_;
  TempDir dir_;
  std::optional<Process> nginx_;
};

}  // namespace lab
