// The limits above 16 are token buckets; each at its boundary with its default numbers (L2, L4 to
// L8): N at once are admitted, further ones are reset, and no more than burst + N * t / W in any t.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <thread>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

enum class Side { outside, app };

struct Case {
  const char* limit;
  Side side;
  std::size_t rate;  ///< a second
  PortList ports;
  Family family;
};

/// The limits as promised, not as the product has them.
std::vector<Case> cases() {
  std::vector<Case> out;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    out.push_back({"web", Side::outside, 5000, {80, 443}, family});
    out.push_back({"mail", Side::outside, 50, {25, 587, 993, 4190}, family});
    out.push_back({"mail-apps", Side::app, 50, {25, 587, 993}, family});
    out.push_back({"database", Side::app, 5000, {3306, 5432, 6379, 27'017}, family});
    out.push_back({"mail-relay", Side::app, 500, {2525}, family});
    out.push_back({"mail-receive", Side::app, 50, {9993, 4190}, family});
    out.push_back({"auth", Side::app, 500, {3002}, family});
  }
  return out;
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.limit; }

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.limit;
  std::replace(name.begin(), name.end(), '-', '_');
  return name + (info.param.family == Family::ipv4 ? "_IPv4" : "_IPv6");
}

class Bucket : public testing::TestWithParam<Case> {
 protected:
  Bucket()
      : outside_(GetParam().side == Side::outside),
        bridge_(net_),
        app_(bridge_.add(2)),
        addon_(bridge_.add(10)),
        server_(outside_ ? net_.host : addon_.inside, GetParam().ports),
        link_(outside_ ? RawLink(net_) : RawLink(app_.inside, app_.mac, addon_.mac)) {
    if (!outside_) keep_quiet(app_.inside);
    fw_.apply("[mail]\nenabled = true\n" + apps_toml() + app_toml("wiki", app_) +
              addon_toml("all", addon_, GetParam().ports));
  }

  Handshakes handshakes(std::size_t count, std::uint16_t first_port = 10'000) {
    const Family f = GetParam().family;
    return {link_,    outside_ ? stranger(f, 1) : app_.address(f),
            target(), GetParam().ports,
            count,    first_port};
  }
  Ip target() const {
    return outside_ ? host_address(GetParam().family) : addon_.address(GetParam().family);
  }
  std::size_t accepted() const {
    std::size_t sum = 0;
    for (const std::uint16_t port : GetParam().ports) sum += server_.accepted(port);
    return sum;
  }

  const bool outside_;
  Network net_;
  Firewall fw_{net_.host};
  AppBridge bridge_;
  App& app_;
  App& addon_;
  Server server_;
  RawLink link_;
};
INSTANTIATE_TEST_SUITE_P(, Bucket, testing::ValuesIn(cases()), case_name);

TEST_P(Bucket, AdmitsNAtOnceAndResetsTheRest) {
  const std::size_t rate = GetParam().rate;
  Handshakes all = handshakes(2 * rate);
  const Burst burst = finish({&all}, net_.host, GetParam().limit);
  EXPECT_GE(burst.admitted, rate);
  EXPECT_LE(burst.admitted, burst.allowed(rate, static_cast<double>(rate)))
      << "in " << burst.seconds << " s";
  EXPECT_EQ(burst.admitted + burst.refused, 2 * rate);
  EXPECT_EQ(burst.resets, burst.refused) << "who is refused is told so";
  EXPECT_TRUE(eventually([&] { return accepted() == burst.admitted; }))
      << accepted() << " connections came through to the server, " << burst.admitted
      << " were admitted";
}

TEST_P(Bucket, IsFullAgainASecondAfterItWasEmpty) {
  const std::size_t rate = GetParam().rate;
  Handshakes first = handshakes(rate + rate / 2);
  finish({&first}, net_.host, GetParam().limit);
  std::this_thread::sleep_for(1100ms);  // the refill is a second
  const std::size_t again_count = std::min<std::size_t>(rate, 1000);
  Handshakes again = handshakes(again_count, 20'000);
  const Burst second = finish({&again}, net_.host, GetParam().limit);
  EXPECT_EQ(second.admitted, again_count);
}

TEST_P(Bucket, WhoKeepsTheRateIsNeverRefused) {
  const std::size_t rate = std::min<std::size_t>(GetParam().rate, 250);
  const Family f = GetParam().family;
  const Client steady =
      outside_ ? Client(net_.outside, client(f, 1)) : Client(app_.inside, app_.address(f));
  const auto tries =
      steady.tries(target(), GetParam().ports, {3 * rate, Clock::duration(1s) / rate});
  EXPECT_EQ(served(tries), 3 * rate);
  EXPECT_EQ(counter(net_.host, std::string(GetParam().limit) + ".refused"), 0u);
}

/// Where the bucket does not refill while the test runs, the boundary is exact.
class ExactBucket : public OverFamily {};
BOTH_FAMILIES(ExactBucket);

std::string web(const std::string& rate, const std::string& more = {}) {
  return limit_toml("web", "80, 443", "outside", "ip", rate, more);
}

TEST_P(ExactBucket, FiveThousandAreAdmittedAndNoneMore) {
  const Server server(net.host, {80, 443});
  RawLink link(net);
  fw.apply(web("5000/1d"));
  Handshakes all(link, stranger(family(), 1), host(), {80, 443}, 5100);
  const Burst burst = finish({&all}, net.host, "web");
  EXPECT_EQ(burst.admitted, 5000u);
  EXPECT_EQ(burst.refused, 100u);
}

TEST_P(ExactBucket, TheFirstTooManyIsResetOthersAreServed) {
  const Server server(net.host, {80, 443, 22});
  fw.apply(web("50/1d"));
  for (int i = 1; i <= 50; ++i) ASSERT_EQ(from(1).tcp(host(), 80), Outcome::served) << i;
  EXPECT_EQ(from(1).tcp(host(), 443), Outcome::refused);
  EXPECT_EQ(from(2).tcp(host(), 443), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 22), Outcome::served);
}

TEST_P(ExactBucket, ABurstOfItsOwnIsKept) {
  const Server server(net.host, {80, 443});
  RawLink link(net);
  fw.apply(web("50/1d", "burst = 120\n"));
  Handshakes all(link, stranger(family(), 1), host(), {80, 443}, 200);
  EXPECT_EQ(finish({&all}, net.host, "web").admitted, 120u);
}

TEST_P(ExactBucket, ALimitOfTheSmallestBucketIsExactToo) {
  const Server server(net.host, {80, 443});
  RawLink link(net);
  fw.apply(web("17/1d"));
  Handshakes all(link, stranger(family(), 1), host(), {80, 443}, 40);
  EXPECT_EQ(finish({&all}, net.host, "web").admitted, 17u);
  fw.apply(web("16/1d"));  // the largest window
  Handshakes more(link, stranger(family(), 2), host(), {80, 443}, 40);
  EXPECT_EQ(finish({&more}, net.host, "web").admitted, 16u);
}

}  // namespace
}  // namespace lab
