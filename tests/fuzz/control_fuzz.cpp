// Lines on the control socket: whatever a client writes is answered, up to where the kernel, the
// store or the lock of the state folder would be asked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <chrono>
#include <cstdint>
#include <string_view>

#include <boost/json/serialize.hpp>

#include "fw/daemon/control.hpp"
#include "fw/daemon/requests.hpp"
#include "fw/effective/policy.hpp"

namespace {

/// Thrown where decoding is over and doing begins.
struct Decoded {};

fw::OwnNetwork own_network() {
  const auto ip = [](const char* text) { return fw::parse_ip(text).value(); };
  const auto link = [](const char* text) { return fw::parse_ip_range(text).value(); };
  fw::OwnNetwork own;
  own.network.addresses = {{ip("203.0.113.1"), "eth0"}, {ip("2001:db8::1"), "eth0"}};
  own.network.links = {{link("203.0.113.0/24"), "eth0"}, {link("2001:db8::/64"), "eth0"}};
  own.network.routers = {{ip("203.0.113.254"), "eth0"}};
  own.resolvers = {ip("198.51.100.53")};
  return own;
}

class FuzzContext : public fw::RequestContext {
 public:
  const std::string& state_dir() const override { return state_dir_; }
  const fw::Policy& policy() const override { return policy_; }
  fw::HttpRules http_rules() override { return fw::http_rules(policy_); }
  const fw::BlockGuard& guard() override { return guard_; }
  chains::Kernel& kernel() override { throw Decoded(); }
  fw::Store& store() override { throw Decoded(); }
  const fw::TrafficStats& traffic() const override { return traffic_; }
  fw::DaemonCounts counts() const override { return {}; }
  void with_lock(std::function<void()>, std::function<void(const fw::Error&)> busy) override {
    busy({fw::ErrorCode::io, "another command is running"});
  }
  void applied(std::chrono::microseconds) override {}
  void record(const std::string&, const fw::Actor&, const std::string&,
              const boost::json::object&) override {}

 private:
  std::string state_dir_ = "/dev/null/state";  // nobody can make it
  fw::Policy policy_ = fw::default_policy();
  fw::BlockGuard guard_{policy_, own_network()};
  fw::TrafficStats traffic_{policy_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzContext context;
  const auto request = fw::read_request({reinterpret_cast<const char*>(data), size});
  if (!request) return 0;
  const fw::Peer root{.pid = 0, .uid = 0, .may_change = true};
  int answers = 0;
  try {
    fw::serve(context, root, *request, [&answers](const boost::json::object& answer) {
      boost::json::serialize(answer);
      ++answers;
    });
  } catch (const Decoded&) {
    return 0;
  }
  if (answers != 1) __builtin_trap();
  return 0;
}
