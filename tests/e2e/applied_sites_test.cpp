// Sites follow the rules: plan shows the difference, apply installs it behind a real nginx, and a
// trial that ends brings both back.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/e2e/nginx.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace files = std::filesystem;

constexpr int kHandshakeRefused = 35;  // curl's exit code

class AppliedSites : public OverFamily {
 protected:
  /// A site with a certificate; nobody is behind it.
  std::string named_site(const std::string& name) const {
    return fmt::format(
        "[[site]]\nname = \"{}\"\nupstream = \"http://127.0.0.1:3999\"\ncertificate = \"files\"\n"
        "cert_file = \"{}\"\nkey_file = \"{}\"\n",
        name, certificate_.certificate, certificate_.key);
  }
  std::string wiki_alone() const { return named_site("wiki.example.org"); }
  /// The same with a second site and a further port.
  std::string with_blog() const {
    return "[ports]\ntcp = [22, 80, 443, 8443]\n" + wiki_alone() + named_site("blog.example.org");
  }
  Output command(std::vector<std::string> words) const {
    words.insert(words.end(), {"--nginx", nginx_.folder()});
    return fw.run(words);
  }
  Output must_command(const std::vector<std::string>& words) const {
    const Output output = command(words);
    EXPECT_EQ(output.exit, 0) << words.front() << ": " << to_string(output);
    return output;
  }
  /// wiki is installed and served, its rules are in force.
  void begin_with_wiki() {
    fw.policy(wiki_alone());
    must_command({"apply", "--sites"});
    nginx_.start();
    rules_before = rules_only(net.host);
  }
  void begin_trial_of_blog(const std::string& time) {
    fw.policy(with_blog());
    EXPECT_THAT(must_command({"apply", "--confirm", time}).out,
                HasSubstr("cloudron-fw confirm --nginx " + nginx_.folder()));
  }

  /// curl's exit code of a handshake for the name.
  int handshake(const std::string& name) const {
    return lab::run(net.outside,
                    {"curl", "-s", "-o", "/dev/null", "--max-time", "10", "--cacert",
                     certificate_.certificate, "--resolve",
                     fmt::format("{}:443:{}", name, bracketed(host())), "https://" + name + "/"})
        .exit;
  }
  bool blog_is_served() const {
    return eventually([this] { return handshake("blog.example.org") == 0; });
  }
  bool blog_is_refused() const {
    return eventually([this] { return handshake("blog.example.org") == kHandshakeRefused; });
  }
  bool has(const std::string& name) const { return files::exists(nginx_.folder() + "/" + name); }
  bool has_blog() const { return has("cloudron-fw/sites/blog.example.org.conf"); }
  bool sites_are_kept() const { return has(".cloudron-fw.before"); }
  bool nginx_accepts() const {
    return lab::run(net.host, {"nginx", "-t", "-c", nginx_.folder() + "/nginx.conf"}).exit == 0;
  }

  std::string pending() const { return fw.state_dir() + "/pending"; }
  /// Replaces a line of the record of the trial.
  void change_record(const std::string& line, const std::string& by) const {
    write_file(pending() + ".new", std::regex_replace(read_file(pending()), std::regex(line), by,
                                                      std::regex_constants::format_first_only));
    files::rename(pending() + ".new", pending());
  }
  pid_t guardian_process() const {
    pid_t found = -1;
    EXPECT_TRUE(eventually([&] {
      for (const auto& entry : files::directory_iterator("/proc")) {
        const std::string id = entry.path().filename();
        if (id.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream comm(entry.path() / "comm");
        std::ifstream words(entry.path() / "cmdline");
        std::string name;
        std::string line;
        if (!std::getline(comm, name) || name != "fw-guardian" || !std::getline(words, line))
          continue;
        if (line.find(fw.state_dir()) != std::string::npos) found = std::stoi(id);
      }
      return found > 0;
    }));
    return found;
  }
  void expect_both_back() const {
    EXPECT_TRUE(eventually([this] { return !has_blog() && !sites_are_kept(); }));
    EXPECT_EQ(rules_only(net.host), rules_before);
    EXPECT_FALSE(files::exists(pending()));
    EXPECT_TRUE(blog_is_refused()) << "nginx was reloaded";
    EXPECT_EQ(handshake("wiki.example.org"), 0);
  }

  TempDir dir_;
  SelfSigned certificate_{net.host, dir_.path(), {"wiki.example.org", "blog.example.org"}};
  Nginx nginx_{net.host};
  std::string rules_before;
};
BOTH_FAMILIES(AppliedSites);

TEST_P(AppliedSites, PlanShowsWhatWouldChange) {
  begin_with_wiki();
  EXPECT_EQ(command({"plan"}).exit, 0);
  EXPECT_THAT(must_command({"render", "nginx", "--diff"}).out, HasSubstr("in place"));

  fw.policy(wiki_alone() + named_site("blog.example.org"));
  const Output planned = command({"plan"});
  EXPECT_EQ(planned.exit, 2) << to_string(planned);
  const std::string path = nginx_.folder() + "/cloudron-fw/sites/blog.example.org.conf";
  EXPECT_THAT(planned.out, AllOf(HasSubstr("the rules stay"),
                                 HasSubstr("--- /dev/null\n+++ " + path + "\n@@ -0,0 +1,"),
                                 HasSubstr("\n+"), Not(HasSubstr("\x1b["))));
  const Output compared = command({"render", "nginx", "--diff"});
  EXPECT_EQ(compared.exit, 2) << to_string(compared);
  EXPECT_THAT(compared.out, HasSubstr("+++ " + path));
  EXPECT_FALSE(has_blog()) << "neither changes anything";

  const auto json = fw.json({"plan", "--nginx", nginx_.folder()}).as_object();
  EXPECT_FALSE(json.at("changed").as_bool()) << "the rules are in force";
  const auto& sites = json.at("sites").as_object();
  ASSERT_EQ(sites.at("changed").as_array().size(), 1u);
  EXPECT_EQ(sites.at("changed").as_array()[0].as_string(), path);
  EXPECT_FALSE(sites.at("diff").as_array().empty());
}

TEST_P(AppliedSites, ApplyInstallsThem) {
  begin_with_wiki();
  fw.policy(with_blog());
  EXPECT_THAT(must_command({"apply"}).out, HasSubstr("sites/blog.example.org.conf"));
  EXPECT_TRUE(blog_is_served());
  EXPECT_EQ(command({"plan"}).exit, 0);
  fw.policy(wiki_alone());
  must_command({"apply"});
  EXPECT_TRUE(blog_is_refused()) << "a site that the policy has no more goes";
  EXPECT_EQ(handshake("wiki.example.org"), 0);
}

TEST_P(AppliedSites, WhatWasNeverInstalledIsLeftAlone) {
  fw.policy(wiki_alone());
  must_command({"apply"});
  EXPECT_FALSE(has("cloudron-fw"));
  EXPECT_FALSE(has("conf.d/cloudron-fw.conf"));
  EXPECT_EQ(command({"plan"}).exit, 0);
  EXPECT_EQ(command({"plan", "--sites"}).exit, 2);
  must_command({"apply", "--sites"});
  EXPECT_TRUE(has("cloudron-fw/sites/wiki.example.org.conf"));
}

TEST_P(AppliedSites, WhereCertificatesLieIsRemembered) {
  fw.policy("[[site]]\nname = \"wiki.example.org\"\nupstream = \"http://127.0.0.1:3999\"\n");
  const std::string live = dir_ / "letsencrypt/live/wiki.example.org";
  files::create_directories(live);
  files::copy(certificate_.certificate, live + "/fullchain.pem");
  files::copy(certificate_.key, live + "/privkey.pem");
  must_command({"render", "nginx", "--install", "--letsencrypt", dir_ / "letsencrypt"});
  must_command({"apply"});
  EXPECT_TRUE(has("cloudron-fw/sites/wiki.example.org.conf"));
  EXPECT_THAT(read_file(nginx_.folder() + "/cloudron-fw/sites/wiki.example.org.conf"),
              HasSubstr(live));
  EXPECT_EQ(command({"plan"}).exit, 0) << to_string(command({"plan"}));
}

TEST_P(AppliedSites, WhatNginxRefusesStaysAsItWasAndTheRulesChange) {
  begin_with_wiki();
  write_file(nginx_.folder() + "/nginx.conf",
             read_file(nginx_.folder() + "/nginx.conf") + "by_hand;\n");
  fw.policy(with_blog());
  const Output applied = command({"apply"});
  EXPECT_EQ(applied.exit, 3) << to_string(applied);
  EXPECT_THAT(applied.err, AllOf(HasSubstr("the sites stay as they were"), HasSubstr("by_hand")));
  EXPECT_FALSE(has_blog());
  EXPECT_NE(rules_only(net.host), rules_before);
  EXPECT_EQ(handshake("wiki.example.org"), 0);
  const auto json = fw.json({"plan", "--nginx", nginx_.folder()}).as_object();
  EXPECT_FALSE(json.at("changed").as_bool());
  EXPECT_FALSE(json.at("sites").as_object().at("changed").as_array().empty());
}

TEST_P(AppliedSites, AConfirmedTrialStays) {
  begin_with_wiki();
  begin_trial_of_blog("60s");
  EXPECT_TRUE(blog_is_served());
  EXPECT_TRUE(sites_are_kept());
  const Output meanwhile = command({"render", "nginx", "--install"});
  EXPECT_EQ(meanwhile.exit, 1) << to_string(meanwhile);
  EXPECT_THAT(meanwhile.err, HasSubstr("cloudron-fw confirm"));
  must_command({"confirm"});
  EXPECT_FALSE(sites_are_kept());
  EXPECT_EQ(command({"plan"}).exit, 0);
  EXPECT_THAT(must_command({"rollback"}).out, HasSubstr("nothing to do"));
  EXPECT_TRUE(blog_is_served());
}

TEST_P(AppliedSites, ATrialThatRunsOutBringsBothBack) {
  begin_with_wiki();
  begin_trial_of_blog("2s");
  EXPECT_TRUE(eventually([this] { return !files::exists(pending()); }));
  expect_both_back();
}

TEST_P(AppliedSites, ATrialOfSitesAloneIsATrial) {
  begin_with_wiki();
  fw.policy(wiki_alone() + named_site("blog.example.org"));
  const Output applied = must_command({"apply", "--confirm", "60s"});
  EXPECT_THAT(applied.out, HasSubstr("is on trial until"));
  EXPECT_TRUE(blog_is_served());
  EXPECT_THAT(must_command({"rollback"}).out,
              HasSubstr("the sites from before the trial are back"));
  expect_both_back();
}

TEST_P(AppliedSites, TheFirstSitesGoWithTheirTrial) {
  fw.policy("");
  must_command({"apply"});
  fw.policy(wiki_alone());
  must_command({"apply", "--sites", "--confirm", "60s"});
  EXPECT_TRUE(has("cloudron-fw/sites/wiki.example.org.conf"));
  must_command({"rollback"});
  EXPECT_FALSE(has("cloudron-fw"));
  EXPECT_FALSE(has("conf.d/cloudron-fw.conf"));
  EXPECT_FALSE(sites_are_kept());
  EXPECT_TRUE(nginx_accepts());
}

// The daemon has no rights to nginx's folder: where it comes first, the guardian does the rest.
TEST_P(AppliedSites, TheGuardianBringsThemBackAlsoAfterTheDaemon) {
  begin_with_wiki();
  begin_trial_of_blog("60s");
  const pid_t guardian = guardian_process();
  ASSERT_EQ(::kill(guardian, SIGSTOP), 0);
  change_record("until \\d+", "until 0");
  const Daemon daemon(fw);
  EXPECT_TRUE(eventually([this] { return !files::exists(pending()); }));
  EXPECT_TRUE(has_blog() && sites_are_kept());
  ASSERT_EQ(::kill(guardian, SIGCONT), 0);
  expect_both_back();
}

TEST_P(AppliedSites, WhoeverRollsBackTheRulesTheGuardianBringsTheSitesBack) {
  begin_with_wiki();
  begin_trial_of_blog("60s");
  fw.must({"rollback"});  // it knows no folder of nginx's
  expect_both_back();
}

TEST_P(AppliedSites, WithoutAGuardianTheUnitOfRootBringsThemBack) {
  begin_with_wiki();
  begin_trial_of_blog("60s");
  ASSERT_EQ(::kill(guardian_process(), SIGKILL), 0);
  EXPECT_THAT(must_command({"rollback", "--due"}).out, HasSubstr("nothing to do"));
  EXPECT_TRUE(has_blog()) << "its time is not over";
  change_record("until \\d+", "until 0");
  {
    const Daemon daemon(fw);
    EXPECT_TRUE(eventually([this] { return !files::exists(pending()); }));
  }
  EXPECT_TRUE(sites_are_kept());
  must_command({"rollback", "--due"});
  expect_both_back();
}

TEST_P(AppliedSites, ACommandThatIsKilledLeavesNothingHalf) {
  begin_with_wiki();
  // nginx waits for a word, so the command is killed between the swap and the reload.
  const std::string config = read_file(nginx_.folder() + "/nginx.conf");
  const std::string fifo = dir_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  write_file(nginx_.folder() + "/nginx.conf", config + "include " + fifo + ";\n");
  fw.policy(with_blog());
  {
    const Process apply(net.host,
                        fw.command({"apply", "--confirm", "60s", "--nginx", nginx_.folder()}));
    Fd word;
    ASSERT_TRUE(eventually([&] {
      word = Fd(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      return word.open();
    })) << "nginx reads";
    EXPECT_TRUE(has_blog());
    apply.kill(SIGKILL);
  }
  write_file(nginx_.folder() + "/nginx.conf", config);
  change_record("until \\d+", "until 0");
  expect_both_back();
}

TEST_P(AppliedSites, ABootTouchesOnlyWhatATrialLeft) {
  begin_with_wiki();
  fw.policy(with_blog());
  must_command({"apply", "--boot"});
  EXPECT_FALSE(has_blog());
  fw.policy(wiki_alone());
  must_command({"apply"});
  begin_trial_of_blog("60s");
  ASSERT_EQ(::kill(guardian_process(), SIGKILL), 0);
  change_record("boot \\S+", "boot another");
  command({"apply", "--boot"});
  expect_both_back();
}

TEST_P(AppliedSites, FilesThatWereGoodComeBackWhateverNginxSaysOfTheRest) {
  begin_with_wiki();
  begin_trial_of_blog("60s");
  const std::string config = read_file(nginx_.folder() + "/nginx.conf");
  write_file(nginx_.folder() + "/nginx.conf", config + "by_hand;\n");
  const Output back = command({"rollback"});
  EXPECT_THAT(back.out, AllOf(HasSubstr("are back"), HasSubstr("nginx was not reloaded"),
                              HasSubstr("by_hand")));
  EXPECT_FALSE(has_blog());
  EXPECT_FALSE(sites_are_kept());
  EXPECT_EQ(rules_only(net.host), rules_before);
}

TEST_P(AppliedSites, TheAuditNamesAppsThatShareAName) {
  begin_with_wiki();
  const auto shared = [this] {
    std::vector<std::string> subjects;
    const auto json = fw.json({"audit", "tls", "wiki.example.org", "--address", to_string(host()),
                               "--ca", certificate_.certificate, "--nginx", nginx_.folder()})
                          .as_object();
    for (const auto& finding : json.at("findings").as_array()) {
      const auto& fields = finding.as_object();
      if (fields.at("rule").as_string() == "proxy-shared-name")
        subjects.emplace_back(fields.at("subject").as_string());
    }
    return subjects;
  };
  EXPECT_THAT(shared(), testing::IsEmpty()) << "what was rendered";
  write_file(nginx_.folder() + "/conf.d/own.conf",
             "server { listen 8081; server_name shared.example.org;\n"
             "  location /a/ { proxy_pass http://127.0.0.1:3001/; }\n"
             "  location /b/ { proxy_pass http://127.0.0.1:3002/; } }\n");
  EXPECT_TRUE(nginx_accepts());
  EXPECT_THAT(shared(), testing::ElementsAre("shared.example.org"));
}

}  // namespace
}  // namespace lab
