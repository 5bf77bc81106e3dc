// nginx's configuration as the audit reads it, and apps in it that share a name.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/nginx_file.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/audit/shared_names.hpp"
#include "tests/unit/samples.hpp"

namespace fw::tls {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

NginxDirective directive(std::vector<std::string> words, NginxDirectives block = {}) {
  return {std::move(words), std::move(block)};
}
NginxDirectives parsed_nginx(const std::string& text) {
  leave_sample("nginx", text);
  auto all = parse_nginx(text);
  EXPECT_TRUE(all) << all.error().what;
  return all ? *std::move(all) : NginxDirectives();
}
std::string nginx_complaint_of(const std::string& text) {
  leave_sample("nginx", text);
  const auto all = parse_nginx(text);
  return all ? "" : all.error().what;
}

TEST(NginxFile, HasDirectivesAndBlocks) {
  const NginxDirectives server{directive({"listen", "80"})};
  const NginxDirectives http{directive({"server"}, server)};
  EXPECT_EQ(parsed_nginx("user root; # who\nhttp{server { listen 80; }}"),
            (NginxDirectives{directive({"user", "root"}), directive({"http"}, http)}));
}

TEST(NginxFile, WordsMayHaveQuotesBackslashesAndVariables) {
  const auto words = parsed_nginx(R"(a "b; {" 'c "d"' "e\"f" g\;h ${i}j $k#l;)");
  ASSERT_EQ(words.size(), 1u);
  EXPECT_THAT(words[0].words,
              testing::ElementsAre("a", "b; {", "c \"d\"", "e\"f", "g\\;h", "${i}j", "$k#l"));
}

TEST(NginxFile, WhatDoesNotFitIsSaidWithItsLine) {
  EXPECT_EQ(nginx_complaint_of("a;\n}\n"), "line 2: unexpected \"}\"");
  EXPECT_EQ(nginx_complaint_of("a {\n\n"), "line 3: a block has no end");
  EXPECT_EQ(nginx_complaint_of("a\n"), "line 2: a directive has no end");
  EXPECT_EQ(nginx_complaint_of("a 'b\n;\n"), "line 3: a quote has no end");
  EXPECT_EQ(nginx_complaint_of("a;\n;\n"), "line 2: a directive has no name");
  std::string deep;
  for (int i = 0; i <= kNginxDepthMax; ++i) deep += "a {";
  EXPECT_THAT(nginx_complaint_of(deep), HasSubstr("too many blocks"));
}

TEST(SharedNames, AreNamesWithDifferentUpstreams) {
  const auto names = shared_names(parsed_nginx(R"(
    http {
      server {
        server_name apps.example.org www.example.org;
        location /wiki/ { proxy_pass http://127.0.0.1:3000/; }
        location /blog/ { proxy_pass http://127.0.0.1:4000; }
      }
      server {
        server_name one.example.org;
        location / { proxy_pass http://127.0.0.1:3000; }
        location ~* ^/login { proxy_pass http://127.0.0.1:3000/login; }
        location = /.limit { internal; proxy_pass http://limit/v1; }
      }
    })"));
  const std::vector<std::pair<std::string, std::string>> upstreams = {
      {"/blog/", "http://127.0.0.1:4000"}, {"/wiki/", "http://127.0.0.1:3000"}};
  EXPECT_EQ(names, (std::vector<SharedName>{{"apps.example.org", upstreams},
                                            {"www.example.org", upstreams}}));
  const auto findings = findings_of(names);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].rule, "proxy-shared-name");
  EXPECT_EQ(findings[0].subject, "apps.example.org");
  EXPECT_THAT(findings[0].what, HasSubstr("/blog/ is http://127.0.0.1:4000"));
}

TEST(SharedNames, ServersOnOtherPortsCount) {
  EXPECT_EQ(
      shared_names(parsed_nginx("http {"
                                "server { listen 443; server_name a; location / { proxy_pass "
                                "http://unix:/run/x:/; } }"
                                "server { listen 8443; server_name a; location / { fastcgi_pass "
                                "unix:/run/y; } } }"))
          .size(),
      1u);
}

class NginxFolder : public testing::Test {
 protected:
  NginxFolder() {
    char name[] = "/tmp/nginx_file_test_XXXXXX";
    folder_ = ::mkdtemp(name);
    std::filesystem::create_directories(folder_ + "/sites");
  }
  ~NginxFolder() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }

  std::string folder_;
};

TEST_F(NginxFolder, IsReadWithWhatItIncludes) {
  write("nginx.conf", "http { include sites/*.conf; include " + folder_ + "/more; }");
  write("sites/b.conf", "b;");
  write("sites/a.conf", "a;");
  write("more", "c { }");
  const auto config = read_nginx(folder_);
  ASSERT_TRUE(config);
  EXPECT_THAT(config->unread, IsEmpty());
  const NginxDirectives inside{directive({"a"}), directive({"b"}), directive({"c"})};
  EXPECT_EQ(config->directives, NginxDirectives{directive({"http"}, inside)});
}

TEST_F(NginxFolder, WhatCannotBeReadIsSaidAndLeftOut) {
  write("nginx.conf", "include none; include broken; a; include itself;");
  write("broken", "}");
  write("itself", "include itself; include itself;");
  const auto config = read_nginx(folder_);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->directives, NginxDirectives{directive({"a"})});
  ASSERT_GE(config->unread.size(), 3u);
  EXPECT_THAT(config->unread[0].what, HasSubstr(folder_ + "/none"));
  EXPECT_THAT(config->unread[1].what, HasSubstr("broken, line 1"));
  EXPECT_LE(config->unread.size(), kFindingsMax);
  EXPECT_FALSE(read_nginx(folder_ + "/none"));
}

}  // namespace
}  // namespace fw::tls
