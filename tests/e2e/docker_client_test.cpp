// The client of the Docker API with a real dockerd, and with those who only pretend to be one.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <string>
#include <thread>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "fw/docker/client.hpp"
#include "tests/e2e/docker.hpp"

namespace lab {
namespace {

using fw::ErrorCode;
using testing::HasSubstr;

/// Listens on a unix socket, and says to the first client what it is told to.
class Pretender {
 public:
  explicit Pretender(const std::string& path) : fd_(listen_at(path)) {}
  /// The connection waits in the backlog until then, so one thread is enough for short answers.
  void answer(const std::string& text) {
    thread_ = std::jthread([this, text] {
      const Fd client(::accept(fd_.get(), nullptr, nullptr));
      char request[4096];
      if (::recv(client.get(), request, sizeof request, 0) <= 0) return;
      for (std::size_t sent = 0; sent < text.size();) {
        const auto n = ::send(client.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<std::size_t>(n);
      }
    });
  }

 private:
  Fd fd_;
  std::jthread thread_;
};

TEST(DockerClient, AsksARealDockerd) {
  const Namespace host;
  const Dockerd dockerd(host);
  dockerd.start("asked");
  const fw::docker::Client client(dockerd.socket());
  const auto info = client.get("/info");
  ASSERT_TRUE(info) << to_string(info.error());
  EXPECT_THAT(*info, HasSubstr("\"ServerVersion\""));
  const auto list = client.get("/containers/json?all=0");
  ASSERT_TRUE(list) << to_string(list.error());
  EXPECT_THAT(*list, HasSubstr("/asked"));
  const auto missing = client.get("/containers/nobody/json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::missing);
  EXPECT_THAT(missing.error().what, HasSubstr("nobody"));
}

TEST(DockerClient, SaysWhyItGotNoAnswer) {
  const TempDir dir;
  const auto refused = fw::docker::Client(dir / "nobody.sock").get("/info");
  ASSERT_FALSE(refused);
  EXPECT_THAT(to_string(refused.error()),
              HasSubstr("no process listens on " + dir / "nobody.sock"));

  const Pretender silent(dir / "silent.sock");
  const auto late = fw::docker::Client(dir / "silent.sock", 100ms).get("/info");
  ASSERT_FALSE(late);
  EXPECT_THAT(to_string(late.error()), HasSubstr("did not answer /info within 100 ms"));

  for (const char* path : {"", "info", "/a b", "/a\r\nX: y"}) {
    const auto strange = fw::docker::Client(dir / "silent.sock", 100ms).get(path);
    ASSERT_FALSE(strange);
    EXPECT_EQ(strange.error().code, ErrorCode::unsupported) << path;
  }
}

TEST(DockerClient, ReadsChunksAndRefusesWhatHasNoEnd) {
  const TempDir dir;
  Pretender one(dir / "chunks.sock");
  one.answer(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  const auto chunks = fw::docker::Client(dir / "chunks.sock").get("/info");
  ASSERT_TRUE(chunks) << to_string(chunks.error());
  EXPECT_EQ(*chunks, "abcde");

  Pretender endless(dir / "endless.sock");
  endless.answer("HTTP/1.1 200 OK\r\n\r\n" + std::string(fw::kDockerAnswerMax + 1, 'x'));
  const auto too_long = fw::docker::Client(dir / "endless.sock").get("/info");
  ASSERT_FALSE(too_long);
  EXPECT_THAT(to_string(too_long.error()), HasSubstr("longer than"));

  Pretender other(dir / "other.sock");
  other.answer("220 mail ESMTP\r\n");
  const auto strange = fw::docker::Client(dir / "other.sock").get("/info");
  ASSERT_FALSE(strange);
  EXPECT_THAT(to_string(strange.error()), HasSubstr("is it Docker that listens?"));

  Pretender broken(dir / "broken.sock");
  broken.answer("HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\n\x1b[31mno");
  const auto error = fw::docker::Client(dir / "broken.sock").get("/info");
  ASSERT_FALSE(error);
  EXPECT_THAT(to_string(error.error()), HasSubstr("Docker answered 500 to /info"));
  EXPECT_EQ(to_string(error.error()).find('\x1b'), std::string::npos) << "a stranger's escape";
}

}  // namespace
}  // namespace lab
