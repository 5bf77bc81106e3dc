// Following an engine whose lists are behind its events, which a real one is only at times.
#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "fw/docker/discovery.hpp"
#include "tests/e2e/docker.hpp"

namespace lab {
namespace {

constexpr const char* kOne =
    R"([{"Id": "d6dc73912a92", "Names": ["/web"], "Image": "web:1", "State": "running", "Labels": {},
"NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.3"}}}}])";
constexpr const char* kDied = R"({"Type": "container", "Action": "die"})"
                              "\n";

/// Answers as Docker does: its container dies once it was listed, and is listed `behind` times
/// more.
class LateEngine {
 public:
  LateEngine(const std::string& path, int behind) : fd_(listen_at(path)), left_(1 + behind) {
    thread_ = std::jthread([this] { serve(); });
  }
  ~LateEngine() { ::shutdown(fd_.get(), SHUT_RDWR); }

 private:
  void serve() {
    Fd events;
    for (;;) {
      Fd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.get() < 0) return;
      char bytes[4096];
      const auto got = ::recv(client.get(), bytes, sizeof bytes, 0);
      const std::string request(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
      if (request.starts_with("GET /events")) {
        say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        events = std::move(client);
        continue;
      }
      const bool list = request.starts_with("GET /containers");
      const std::string body = list && left_-- > 0 ? kOne : "[]";
      say(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body);
      if (list && !std::exchange(told_, true)) {
        const std::string line = kDied;
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", line.size());
        say(events, size + line + "\r\n");
      }
    }
  }
  static void say(const Fd& to, const std::string& text) {
    (void)::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  Fd fd_;
  int left_;
  bool told_ = false;
  std::jthread thread_;
};

TEST(DockerWatch, LooksAgainWhenTheListsAreBehindTheEvents) {
  for (const int behind : {0, 1, 2}) {
    const TempDir dir;
    const LateEngine engine(dir / "docker.sock", behind);
    std::atomic<int> listed = 0;
    std::atomic<bool> gone = false;
    const fw::docker::Watch watch(dir / "docker.sock", [&](const fw::Result<fw::Inventory>& told) {
      if (!told) return;
      if (told->containers.empty()) gone = true;
      listed += static_cast<int>(told->containers.size());
    });
    EXPECT_TRUE(eventually([&] { return gone.load(); }, 5s)) << behind << " lists behind";
    EXPECT_EQ(listed, 1) << "what is the same is not told again";
  }
}

}  // namespace
}  // namespace lab
