// Real servers in containers: each a script that writes its files to /state and becomes the server,
// and what a client of it says and hears.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/docker.hpp"
#include "tests/lab/protocol.hpp"

namespace lab {

inline const Protocol kRedis{"PING\r\n", "+PONG\r\n"};
/// SSLRequest; the answer is no.
inline const Protocol kPostgres{{"\0\0\0\x08\x04\xd2\x16\x2f", 8}, "N"};
inline const Protocol kSmtp{"", "220 mail.example ESMTP Postfix"};
/// A TLS 1.2 ClientHello (ECDHE-ECDSA, P-256), and the ServerHello.
inline const Protocol kTls{
    std::string("\x16\x03\x01\0\x41\x01\0\0\x3d\x03\x03", 11) + std::string(32, 'r') +
        std::string("\0\0\x04\xc0\x2b\0\xff\x01\0\0\x10\0\x0a\0\x04\0\x02\0\x17"
                    "\0\x0d\0\x04\0\x02\x04\x03",
                    27),
    {"\x16\x03\x03", 3}};
inline const Protocol kSieve{"", "\"IMPLEMENTATION\" \"Dovecot"};
/// An anonymous bind, and that it succeeded.
inline const Protocol kLdap{{"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0", 14},
                            {"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0", 10}};

/// As many connections may wait at once as one burst has.
inline constexpr const char* kRedisScript = R"(
exec redis-server --bind 0.0.0.0 :: --protected-mode no --save '' --tcp-backlog 20000 \
  --maxclients 10000
)";

inline constexpr const char* kPostgresScript = R"(
bin=$(echo /usr/lib/postgresql/*/bin)
chown postgres /state
exec setpriv --reuid postgres --regid postgres --clear-groups sh -ec "
  $bin/initdb -D /state/data -A trust --no-sync >/dev/null
  exec $bin/postgres -D /state/data -c listen_addresses='*' -c unix_socket_directories= \
    -c max_connections=5000 -c shared_buffers=16MB -c fsync=off -c autovacuum=off"
)";

/// Without `postfix start`, whose checks take longer than all the rest.
inline constexpr const char* kPostfixScript = R"(
mkdir -p /state/config /state/data /state/queue
cd /state/queue
mkdir pid private public maildrop
chown postfix /state/data private
chown postfix:postdrop public maildrop
cat >/state/config/main.cf <<END
compatibility_level = 3.6
queue_directory = /state/queue
data_directory = /state/data
maillog_file = /dev/stdout
myhostname = mail.example
inet_protocols = all
default_process_limit = 2000
smtpd_client_event_limit_exceptions = static:all
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject
alias_maps =
local_recipient_maps =
END
cat >/state/config/master.cf <<END
25 inet n - n - 50 smtpd
587 inet n - n - 50 smtpd
2525 inet n - n - 50 smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
END
exec /usr/lib/postfix/sbin/master -c /state/config -d
)";

inline constexpr const char* kDovecotScript = R"(
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail.example \
  -keyout /state/key -out /state/cert
cat >/state/dovecot.conf <<END
base_dir = /state/run
state_dir = /state/lib
log_path = /dev/stderr
protocols = imap sieve
listen = *, ::
ssl = required
ssl_cert = </state/cert
ssl_key = </state/key
mail_location = maildir:/state/mail/%u
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=1000 gid=1000 home=/state/mail/%u
}
service imap-login {
  service_count = 0
  process_min_avail = 1
  client_limit = 2000
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 993
  }
  inet_listener imaps_of_apps {
    port = 9993
    ssl = yes
  }
}
service managesieve-login {
  service_count = 0
  process_min_avail = 1
  client_limit = 2000
}
END
exec dovecot -F -c /state/dovecot.conf
)";

inline constexpr const char* kSlapdScript = R"(
cat >/state/slapd.conf <<END
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix dc=example
directory /state
END
exec slapd -d stats -f /state/slapd.conf -h 'ldap://0.0.0.0:3002/ ldap://[::]:3002/'
)";

/// The programs are the host's: a container sees its /usr, and keeps all else to itself.
inline void start_server(const Dockerd& engine, const std::string& name, const std::string& script,
                         const std::vector<std::string>& options) {
  std::vector<std::string> words{"run", "-d", "--name", name};
  for (const char* path :
       {"/usr", "/lib", "/lib64", "/etc/passwd", "/etc/group", "/etc/ldap", "/etc/ssl"}) {
    words.insert(words.end(), {"-v", std::string(path) + ":" + path + ":ro"});
  }
  words.insert(words.end(),
               {"--tmpfs", "/state", "--ulimit", "nofile=16384", "--sysctl",
                "net.core.somaxconn=65535", "--sysctl", "net.ipv4.tcp_max_syn_backlog=65535"});
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {Dockerd::kImage, "sh", "-ec", script});
  engine.docker(words);
}

}  // namespace lab
