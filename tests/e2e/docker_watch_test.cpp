// Following an engine: what it is asked, and when its lists are behind its events, as a real one's
// are only at times.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "fw/docker/discovery.hpp"
#include "tests/e2e/docker.hpp"

namespace lab {
namespace {

std::string container(const std::string& id, const std::string& address) {
  return R"({"Id": ")" + id + R"(", "Names": ["/)" + id +
         R"("], "Image": "web:1", "State": "running", "Labels": {},
"NetworkSettings": {"Networks": {"bridge": {"IPAddress": ")" +
         address + R"("}}}})";
}

/// Speaks as Docker does; what it says to a request is the test's, called in its thread.
class Engine {
 public:
  using Answer = std::function<std::string(const std::string& target)>;

  Engine(const std::string& path, Answer answer)
      : fd_(listen_at(path)), answer_(std::move(answer)) {
    thread_ = std::jthread([this] { serve(); });
  }
  ~Engine() { ::shutdown(fd_.get(), SHUT_RDWR); }

  /// To whoever follows the events.
  void tell(const std::string& event) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", event.size() + 1);
    const std::lock_guard lock(mutex_);
    say(events_, size + event + "\n\r\n");
  }

 private:
  void serve() {
    for (;;) {
      Fd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.get() < 0) return;
      char bytes[4096];
      const auto got = ::recv(client.get(), bytes, sizeof bytes, 0);
      const std::string request(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
      const std::string target = request.substr(4, request.find(' ', 4) - 4);
      if (target.starts_with("/events")) {
        say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const std::lock_guard lock(mutex_);
        events_ = std::move(client);
        continue;
      }
      const std::string body = answer_(target);
      say(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body);
    }
  }
  static void say(const Fd& to, const std::string& text) {
    (void)::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  Fd fd_;
  Answer answer_;
  std::mutex mutex_;
  Fd events_;
  std::jthread thread_;
};

TEST(DockerWatch, LooksAgainWhenTheListsAreBehindTheEvents) {
  for (const int behind : {0, 1, 2}) {
    const TempDir dir;
    Engine* self = nullptr;
    int left = 1 + behind;
    bool told_death = false;
    // Its container dies once it was listed, and is listed `behind` times more.
    Engine engine(dir / "docker.sock", [&](const std::string& target) -> std::string {
      if (!target.starts_with("/containers")) return "[]";
      const bool listed = left-- > 0;
      if (!std::exchange(told_death, true)) {
        self->tell(R"({"Type": "container", "Action": "die"})");
      }
      return listed ? "[" + container("d6dc73912a92", "172.17.0.3") + "]" : "[]";
    });
    self = &engine;
    std::atomic<int> listed = 0;
    std::atomic<bool> gone = false;
    const fw::docker::Watch watch(dir / "docker.sock",
                                  [&](const fw::Result<fw::docker::SharedNews>& told) {
                                    if (!told) return;
                                    const auto& now = (*told)->now.containers;
                                    if (now.empty()) gone = true;
                                    listed += static_cast<int>(now.size());
                                  });
    EXPECT_TRUE(eventually([&] { return gone.load(); })) << behind << " lists behind";
    EXPECT_EQ(listed, 1) << "what is the same is not told again";
  }
}

TEST(DockerWatch, AsksForNoMoreThanWasTouched) {
  const TempDir dir;
  std::mutex mutex;
  std::vector<std::string> asked;
  std::map<std::string, std::string> containers{{"aa", "172.17.0.2"}, {"cc", "172.17.0.4"}};
  Engine engine(dir / "docker.sock", [&](const std::string& target) -> std::string {
    const std::lock_guard lock(mutex);
    asked.push_back(target);
    if (target == "/networks")
      return R"([{"Driver": "bridge", "IPAM": {"Config": [{"Subnet":
"172.17.0.0/16"}]}}])";
    std::string list;
    for (const auto& [id, address] : containers) {
      const bool wanted =
          target.find("filters") == std::string::npos || target.find(id) != std::string::npos;
      if (wanted) list += (list.empty() ? "" : ",") + container(id, address);
    }
    return "[" + list + "]";
  });
  fw::Inventory known;
  const fw::docker::Watch watch(
      dir / "docker.sock", [&](const fw::Result<fw::docker::SharedNews>& told) {
        ASSERT_TRUE(told);
        const std::lock_guard lock(mutex);
        EXPECT_FALSE(fw::update(known, (*told)->part, (*told)->now, 1).empty());
      });
  using Told = std::vector<std::string>;
  const auto becomes = [&](const Told& wanted) {
    return eventually([&] {
      const std::lock_guard lock(mutex);
      Told is;
      for (const fw::Container& each : known.containers) {
        if (each.gone == 0) is.push_back(each.id + " " + fw::to_string(each.addresses.at(0)));
      }
      return is == wanted;
    });
  };
  /// Does the last of so many looks behind events ask for that?
  const auto asks = [&](const std::string& events, const std::vector<std::string>& wanted,
                        std::size_t looks) {
    {
      const std::lock_guard lock(mutex);
      asked.clear();
    }
    engine.tell(events);
    return eventually([&] {
      const std::lock_guard lock(mutex);
      return asked.size() >= looks * wanted.size() &&
             std::equal(wanted.rbegin(), wanted.rend(), asked.rbegin());
    });
  };
  const auto of = [](const char* action, const char* id) {
    return std::string(R"({"Type": "container", "Action": ")") + action +
           R"(", "Actor": {"ID": ")" + id + R"("}})";
  };
  ASSERT_TRUE(becomes({"aa 172.17.0.2", "cc 172.17.0.4"}));
  EXPECT_EQ(known.networks.size(), 1u);

  const auto change = [&](auto what) {
    const std::lock_guard lock(mutex);
    what();
  };
  change([&] { containers["bb"] = "172.17.0.3"; });
  const std::string all = "/containers/json?all=1";
  const auto only = [&all](const std::string& ids) {
    return std::vector{all + "&filters=%7B%22id%22%3A%5B%22" + ids + "%22%5D%7D"};
  };
  EXPECT_TRUE(asks(of("die", "bb") + "\n" + of("start", "bb"), only("bb"), 1));
  EXPECT_TRUE(becomes({"aa 172.17.0.2", "bb 172.17.0.3", "cc 172.17.0.4"}));
  change([&] { containers.erase("aa"), containers["cc"] = "172.17.0.9"; });
  EXPECT_TRUE(asks(of("destroy", "aa") + "\n" + of("rename", "cc"), only("aa%22%2C%22cc"), 3));
  EXPECT_TRUE(becomes({"bb 172.17.0.3", "cc 172.17.0.9"}));
  EXPECT_EQ(known.networks.size(), 1u) << "still known";
  EXPECT_TRUE(
      asks(R"({"Type": "network", "Action": "create", "Actor": {"ID": "n"}})", {"/networks"}, 3));
  const std::vector<std::string> everything{all, "/networks"};
  EXPECT_TRUE(asks(of("die", "../x?y"), everything, 3)) << "that is no id";
  std::string many = of("start", "bb");
  for (int i = 10; i < 80; ++i) many += "\n" + of("start", std::to_string(i).c_str());
  EXPECT_TRUE(asks(many, everything, 1)) << "that are too many to name";
}

}  // namespace
}  // namespace lab
