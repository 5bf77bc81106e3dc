// Commands typed into a real SSH session: whose they are, and that they do not cut it by mistake.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <boost/json.hpp>

#include "tests/e2e/ssh.hpp"
#include "tests/lab/vpn.hpp"

namespace lab {
namespace {

namespace json = boost::json;

class TypedOverSsh : public RealSsh {
 protected:
  TypedOverSsh() { fw.apply(); }

  bool v4() const { return family() == Family::ipv4; }
  /// The command as it is typed: as sudo starts it, without any environment.
  std::string words(const std::string& command) const {
    std::string line = "env -i";
    for (const std::string& word : fw.command({command})) line += " " + word;
    return line;
  }
  json::array activity() const { return fw.json({"activity"}).as_array(); }
  json::object last() const { return activity().back().as_object(); }
  /// It is refused with a word of the reason, changes nothing and is not noted.
  void expect_refused(const SshSession& session, const std::string& command,
                      const std::string& why) const {
    const std::string before = rules_only(net.host);
    const std::size_t noted = activity().size();
    const Output output = session.typed(words(command));
    EXPECT_EQ(output.exit, 1) << to_string(output);
    EXPECT_NE(output.out.find(why), std::string::npos) << to_string(output);
    EXPECT_NE(output.out.find("--force"), std::string::npos) << to_string(output);
    EXPECT_EQ(rules_only(net.host), before);
    EXPECT_EQ(elements(net.host, v4() ? "block4" : "block6").size(), 0u);
    EXPECT_EQ(activity().size(), noted);
    EXPECT_TRUE(session.works());
  }
  void expect_done(const SshSession& session, const std::string& command) const {
    const Output output = session.typed(words(command));
    EXPECT_EQ(output.exit, 0) << to_string(output);
  }
};
BOTH_FAMILIES(TypedOverSsh);

TEST_P(TypedOverSsh, WhoDidItIsKnownBySocketNotByEnvironment) {
  const SshSession session = open(1);
  expect_done(session, "block 192.0.2.7 --for 1h --reason guessing");
  const json::object row = last();
  EXPECT_EQ(row.at("what"), "block");
  EXPECT_EQ(row.at("user"), "root");
  EXPECT_EQ(row.at("summary"), "192.0.2.7 for 1h: guessing");
  EXPECT_TRUE(row.at("tty").as_string().starts_with("pts/")) << row.at("tty");
  const std::string remote(row.at("remote").as_string());
  EXPECT_TRUE(remote.starts_with(bracketed(client(family(), 1)) + ":")) << remote;
  // The port is that of the connection: ss knows it too.
  EXPECT_NE(must_run(net.host, {"ss", "-Htn", "state", "established"}).find(remote),
            std::string::npos)
      << remote;
}

TEST_P(TypedOverSsh, AWindowOfTmuxBelongsToTheLatestSession) {
  const std::string tmux = "tmux -f /dev/null -S " + (fw.dir() / "tmux");
  {
    const SshSession first = open(1);
    const Output output = first.typed(tmux + " new-session -d");
    ASSERT_EQ(output.exit, 0) << to_string(output);
  }
  const SshSession second = open(2);
  const Output output =
      second.typed(tmux + " send-keys '" + words("block " + address(3)) + "' Enter");
  ASSERT_EQ(output.exit, 0) << to_string(output);
  ASSERT_TRUE(eventually([&] { return last().at("what") == "block"; }));
  const std::string remote(last().at("remote").as_string());
  EXPECT_TRUE(remote.starts_with(bracketed(client(family(), 2)) + ":")) << remote;
}

TEST_P(TypedOverSsh, BlockingOneselfNeedsForce) {
  const SshSession session = open(0x101);
  const std::string network = v4() ? "198.18.1.0/24" : "2001:db8:18:100::/56";
  expect_refused(session, "block " + address(0x101), "this SSH session");
  expect_refused(session, "block " + network, "this SSH session");
  expect_done(session, "block " + address(0x102));
  fw.must({"unblock", address(0x102)});
  // It cuts the session, so it is not waited for.
  const Process done = session.start(words("block --force " + network));
  EXPECT_TRUE(eventually(
      [&] { return elements(net.host, v4() ? "block_net4" : "block_net6").size() == 1; }));
}

TEST_P(TypedOverSsh, AnApplyThatClosesThePortNeedsForce) {
  const SshSession session = open(1);
  fw.policy("[ports]\ntcp = [80, 202]\n");
  expect_refused(session, "apply", "does not open that port");
  expect_refused(session, "apply --confirm 60s", "does not open that port");
  EXPECT_EQ(fw.run({"confirm"}).exit, 1) << "no policy is on trial";
  fw.policy("[ports]\ntcp = [80]\n");
  expect_refused(session, "apply", "no SSH port is open");
  expect_done(session, "apply --force");
  expect_done(session, "apply");  // there is nothing to do
  EXPECT_EQ(last().at("what"), "apply");
}

TEST_P(TypedOverSsh, ADryRunSaysThatItWouldBeRefused) {
  const SshSession session = open(1);
  fw.policy("[ports]\ntcp = [80, 202]\n");
  for (const auto& [command, exit] : {std::pair{"plan", 2}, std::pair{"apply --dry-run", 3}}) {
    const Output output = session.typed(words(command));
    EXPECT_EQ(output.exit, exit) << to_string(output);
    EXPECT_NE(output.out.find("apply refuses this without --force"), std::string::npos)
        << to_string(output);
    EXPECT_NE(output.out.find("does not open that port"), std::string::npos) << to_string(output);
  }
  expect_done(session, "apply --dry-run --force");
  fw.policy("[ports]\ntcp = [22, 80]\n");
  expect_done(session, "apply --dry-run");
}

TEST_P(TypedOverSsh, TheReasonIsTheRuleThatRefuses) {
  const SshSession session = open(1);
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 22 drop");
  fw.policy("[ports]\ntcp = [22, 80]\n");
  expect_refused(session, "apply", "dport 22 drop' of chain CLOUDRON_BEFORE refuses it");
  nft(net.host, "flush chain inet cloudron CLOUDRON_BEFORE");
  fw.must({"panic", "on", "--force"});
  expect_refused(session, "apply", "a panic is on");
}

TEST_P(TypedOverSsh, AnApplyThatListsTheAddressNeedsForce) {
  const SshSession session = open(1);
  fw.file("bad.txt", address(1) + "\n");
  const std::string list = "[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\n";
  fw.policy(list);
  expect_refused(session, "apply", "on a block list");
  fw.policy(list + "[trusted]\nnetworks = [\"" + address(1) + "\"]\n");
  expect_done(session, "apply");
  fw.policy(list);
  expect_refused(session, "apply", "on a block list");
  fw.apply();  // from no session
}

/// Sessions that come in only by what [[open]] opens for some.
class ByAnOpening : public TypedOverSsh {
 protected:
  SshSession by_vpn() {
    return {vpn.peer(), ssh_words(sshd, Vpn::peer_address(family()), Vpn::host_address(family())),
            sshd.socket()};
  }
  std::string network(unsigned n) const { return address(n) + (v4() ? "/32" : "/128"); }
  static std::string for_some(const std::string& who) {
    return "[ports]\ntcp = [80]\n[[open]]\nports = [22]\n" + who + "\n";
  }

  Vpn vpn{net.host};
};
BOTH_FAMILIES(ByAnOpening);

TEST_P(ByAnOpening, AnApplyThatTakesTheInterfaceAwayNeedsForce) {
  fw.apply(for_some("interfaces = [\"wg0\"]"));
  const SshSession session = by_vpn();
  fw.policy(for_some("interfaces = [\"wg1\"]"));
  expect_refused(session, "apply", "the policy opens that port only by wg1");
  expect_refused(session, "apply --confirm 60s", "the policy opens that port only by wg1");
  fw.policy("[ports]\ntcp = [80, 202]\n");
  expect_refused(session, "apply", "does not open that port");
  fw.policy(for_some("interfaces = [\"wg*\", \"tailscale0\"]") + "[mail]\nenabled = true\n");
  expect_done(session, "apply");
  EXPECT_TRUE(session.works());
  EXPECT_TRUE(by_vpn().works()) << "and it can come in again";
}

TEST_P(ByAnOpening, AnApplyThatTakesTheSourceAwayNeedsForce) {
  fw.apply(for_some("from = [\"" + network(1) + "\"]"));
  const SshSession session = open(1);
  fw.policy(for_some("from = [\"" + network(2) + "\"]"));
  expect_refused(session, "apply", "the policy opens that port only from " + address(2));
  fw.policy(for_some("from = [\"" + network(1) + "\"]\ninterfaces = [\"wg0\"]"));
  expect_refused(session, "apply", " by wg0");
  fw.policy(for_some("from = [\"" + network(2) + "\", \"" + network(1) + "\"]"));
  expect_done(session, "apply");
  EXPECT_TRUE(open(1).works());
}

TEST_P(ByAnOpening, AnApplyThatTakesTheAddressOutOfTheListNeedsForce) {
  const std::string policy =
      for_some("from = [\"office\"]") + "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n";
  fw.file("office.txt", address(1) + "\n");
  fw.apply(policy);
  const SshSession session = open(1);
  fw.file("office.txt", address(2) + "\n");
  expect_refused(session, "apply", "the policy opens that port only from office");
  fw.file("office.txt", address(2) + "\n" + address(1) + "\n");
  expect_done(session, "apply");
  EXPECT_TRUE(open(1).works());
}

TEST_P(TypedOverSsh, AnAdminsOwnRuleMayLetTheSessionIn) {
  const SshSession session = open(1);
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 22 accept");
  fw.policy("[ports]\ntcp = [80, 202]\n");
  expect_done(session, "apply");
  EXPECT_TRUE(session.works());
}

TEST_P(TypedOverSsh, WithoutASessionOnlyAllOfSshMustNotClose) {
  fw.policy("[ports]\ntcp = [80]\n");
  const Output refused = fw.run({"apply"});
  EXPECT_EQ(refused.exit, 1) << to_string(refused);
  EXPECT_NE(refused.err.find("no SSH port is open"), std::string::npos) << to_string(refused);
  fw.apply("[ports]\ntcp = [80, 202]\n");
  fw.policy("[ports]\ntcp = [80]\n");
  fw.must({"apply", "--boot"});
}

TEST_P(TypedOverSsh, AConnectionThatGoesOutIsNoSession) {
  const Server server(net.outside, {7000});
  const std::string to = to_string(gateway_address(family()));
  fw.policy("[mail]\nenabled = true\n");
  must_run(
      net.host,
      {"bash", "-c", fmt::format("exec 7<>/dev/tcp/{}/7000; {} && exec true", to, words("apply"))});
  EXPECT_EQ(last().at("remote"), "");
}

}  // namespace
}  // namespace lab
