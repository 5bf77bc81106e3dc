// The limiter's service behind a real nginx that asks it with auth_request.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/time.h>

#include "tests/e2e/nginx.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/process.hpp"

namespace lab {
namespace {

constexpr std::uint16_t kPort = 8080;

/// A connection that is kept alive, and asks one thing again and again.
class Browser {
 public:
  Browser(const Namespace& where, Ip source, Ip to) {
    where.in([&] {
      fd_ = Fd(
          ::socket(to.family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    });
    const int one = 1;
    ::setsockopt(fd_.get(), IPPROTO_IP, IP_FREEBIND, &one, sizeof one);
    if (to.family == Family::ipv6)
      ::setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
    const SockAddr from(source, 0), at(to, kPort);
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::bind(fd_.get(), from.get(), from.size) != 0) fail("cannot bind");
    if (::connect(fd_.get(), at.get(), at.size) != 0) fail("cannot connect to nginx");
  }

  /// The answer's head. Its body is as long as Content-Length says.
  std::string ask(const std::string& path, const std::string& headers = {}) {
    const std::string request = "POST " + path + " HTTP/1.1\r\nHost: wiki.example.org\r\n" +
                                headers + "Content-Length: 11\r\n\r\npassword=x\n";
    if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) fail("cannot send");
    std::string got;
    char byte = 0;
    while (!got.ends_with("\r\n\r\n")) {
      if (::recv(fd_.get(), &byte, 1, 0) != 1) fail("no answer: " + got);
      got += byte;
    }
    const std::size_t at = got.find("Content-Length: ");
    const int length = at == got.npos ? 0 : std::stoi(got.substr(at + 16));
    for (int i = 0; i < length; ++i) {
      if (::recv(fd_.get(), &byte, 1, 0) != 1) fail("no body");
    }
    return got;
  }
  int status(const std::string& path, const std::string& headers = {}) {
    return std::stoi(ask(path, headers).substr(9, 3));
  }

 private:
  Fd fd_;
};

/// nginx as docs/services.md has it, in front of an app, which is nginx too.
class LimiterService : public OverFamily {
 protected:
  LimiterService() {
    fw.policy("");
    serve();
    std::string open_on = "error_page 400 404 500 502 503 504 = @cloudron_fw_open;";
    write_file(dir_ / "nginx.conf", nginx_conf(open_on));
    nginx_ = std::make_unique<NginxProcess>(
        net.host, std::vector<std::string>{"-p", dir_.path(), "-c", dir_ / "nginx.conf"});
    EXPECT_TRUE(eventually([this] {
      try {
        return browser(90).status("/") == 200;
      } catch (const std::runtime_error&) {
        return false;
      }
    })) << nginx_->err_so_far();
  }

  std::string socket_path() const { return dir_ / "run/limit.sock"; }

  /// Starts the service, and waits until it listens.
  void serve() {
    service_ = std::make_unique<Process>(net.host,
                                         fw.command({"services", "--runtime-dir", dir_ / "run"}));
    EXPECT_TRUE(eventually([this] {
      return run(net.host, {"curl", "-s", "--unix-socket", socket_path(), "http://x/"}).ok();
    })) << service_->err_so_far();
  }

  Browser browser(unsigned n) const { return {net.outside, client(family(), n), host()}; }

  std::string nginx_conf(const std::string& open_on) const {
    return R"(
daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  upstream cloudron_fw_limit {
    server unix:)" +
           socket_path() + R"( max_fails=0;
    keepalive 32;
  }
  server {  # the app
    listen 127.0.0.1:3000;
    location / { return 200 "app"; }
    location = /forbidden { return 403; }
  }
  server {
    listen )" +
           bracketed(host()) + ":" + std::to_string(kPort) + R"(;
    location = /.cloudron-fw/password {
      internal;
      proxy_pass http://cloudron_fw_limit/v1/limit/password?refuse=403;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_headers off;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Client $remote_addr;
      proxy_set_header X-Peer $realip_remote_addr;
      proxy_set_header X-Site $server_name;
      proxy_connect_timeout 250ms;
      proxy_read_timeout 250ms;
      proxy_intercept_errors on;
      )" + open_on +
           R"(
    }
    location @cloudron_fw_open { return 204; }
    location @cloudron_fw_refused {
      add_header Retry-After $cloudron_fw_wait always;
      return 429;
    }
    location = /login {
      auth_request /.cloudron-fw/password;
      auth_request_set $cloudron_fw_wait $upstream_http_retry_after;
      error_page 403 = @cloudron_fw_refused;
      proxy_pass http://127.0.0.1:3000;
    }
    location = /forbidden {
      auth_request /.cloudron-fw/password;
      error_page 403 = @cloudron_fw_refused;
      proxy_pass http://127.0.0.1:3000;
    }
    location / { proxy_pass http://127.0.0.1:3000; }
  }
}
)";
  }

  TempDir dir_;
  std::unique_ptr<Process> service_;
  std::unique_ptr<NginxProcess> nginx_;
};

/// When a try was admitted: somewhen between the two.
struct Admitted {
  Clock::time_point from;
  Clock::time_point until;
};

TEST_P(LimiterService, NoSecondHasAnEleventhPassword) {
  Browser attacker = browser(1);
  std::vector<Admitted> admitted;
  int refused = 0;
  for (const auto begin = Clock::now(); Clock::now() - begin < 5s;) {
    const auto from = Clock::now();
    // What the client says of itself changes nothing.
    const int status =
        attacker.status("/login", "X-Client: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.9\r\n");
    if (status == 200) admitted.push_back({from, Clock::now()});
    if (status == 429) ++refused;
    ASSERT_TRUE(status == 200 || status == 429) << status;
  }
  EXPECT_GE(admitted.size(), 40u);
  EXPECT_GT(refused, 50);
  for (std::size_t i = 10; i < admitted.size(); ++i)
    EXPECT_GE(admitted[i].until - admitted[i - 10].from, 1s) << i;
}

TEST_P(LimiterService, AnHonestOneIsNeverRefused) {
  Browser honest = browser(2);
  Browser attacker = browser(1);
  std::vector<Clock::time_point> done;
  for (std::size_t i = 0; i < 35; ++i) {
    // Ten in a second, as close as they can be.
    while (i >= 10 && Clock::now() - done[i - 10] < 1001ms) attacker.status("/login");
    EXPECT_EQ(honest.status("/login"), 200) << i;
    done.push_back(Clock::now());
  }
  // And what is not a password is not limited.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(attacker.status("/"), 200);
}

TEST_P(LimiterService, ARefusalSaysWhenToTryAgain) {
  Browser attacker = browser(1);
  std::string last;
  for (int i = 0; i < 200 && !last.starts_with("HTTP/1.1 429"); ++i) last = attacker.ask("/login");
  EXPECT_NE(last.find("\r\nRetry-After: 1\r\n"), std::string::npos) << last;
  // The app's own 403 stays its own.
  EXPECT_EQ(browser(3).status("/forbidden"), 403);
}

TEST_P(LimiterService, IsOpenWhileItIsDeadAndARestartForgetsNothing) {
  fw.policy("[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"5/h\"\n");
  service_->kill(SIGHUP);
  Browser attacker = browser(1);
  EXPECT_TRUE(eventually([&] { return attacker.status("/login") == 429; }));
  service_->kill(SIGKILL);
  service_->wait();
  for (int i = 0; i < 30; ++i) EXPECT_EQ(attacker.status("/login"), 200);
  serve();
  EXPECT_EQ(attacker.status("/login"), 429);
  EXPECT_EQ(browser(2).status("/login"), 200);
}

TEST_P(LimiterService, IsClosedWhileItIsDeadIfThatIsWanted) {
  write_file(dir_ / "nginx.conf", nginx_conf(""));
  nginx_->reload();
  service_->kill(SIGTERM);
  EXPECT_TRUE(service_->wait().ok());
  EXPECT_TRUE(eventually([this] { return browser(1).status("/login") == 500; }));
  EXPECT_EQ(browser(1).status("/"), 200);
  serve();
  EXPECT_EQ(browser(1).status("/login"), 200);
}

TEST_P(LimiterService, HasTheLimitsThatAreInForce) {
  fw.apply("[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"2/h\"\n");
  const Daemon daemon(fw);
  // Without --policy: what the daemon says.
  service_->kill(SIGTERM);
  service_->wait();
  service_ = std::make_unique<Process>(
      net.host, std::vector<std::string>{program(), "--socket", daemon.path(), "services",
                                         "--runtime-dir", dir_ / "run"});
  const auto asked = [this](unsigned n) {
    return run(net.host, {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket",
                          socket_path(), "-H", "X-Client: " + to_string(client(family(), n)),
                          "http://x/v1/limit/password"})
        .out;
  };
  EXPECT_TRUE(eventually([&] { return asked(1) == "429"; })) << service_->err_so_far();
  EXPECT_EQ(asked(2), "204");
  EXPECT_EQ(asked(2), "204");
  EXPECT_EQ(asked(2), "429");
  fw.apply("[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"9/h\"\n");
  EXPECT_TRUE(eventually([&] {
    service_->kill(SIGHUP);
    return asked(2) == "204";
  }));
}

TEST_P(LimiterService, OneProcessUsesAFolder) {
  const Output second = run(net.host, fw.command({"services", "--runtime-dir", dir_ / "run"}));
  EXPECT_EQ(second.exit, 1);
  EXPECT_NE(second.err.find("another cloudron-fw services uses"), std::string::npos) << second.err;
  EXPECT_EQ(browser(4).status("/login"), 200);
}

BOTH_FAMILIES(LimiterService);

}  // namespace
}  // namespace lab
