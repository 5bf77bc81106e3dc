// What is open and what is closed (P1, P2), and what every host needs to live on a network.
#include <algorithm>
#include <set>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Ports : public OverFamily {
 protected:
  /// Every TCP port that answers a SYN in any way.
  std::set<std::uint16_t> answering() {
    RawLink link(net);
    const std::uint16_t source = ++scans_;
    std::set<std::uint16_t> out;
    const auto note = [&](const std::vector<Packet>& packets) {
      for (const Packet& p : packets) {
        if (p.protocol == kTcp && p.port_to == source) out.insert(p.port_from);
      }
    };
    const Ip scanner = stranger(family(), 7);
    for (unsigned first = 1; first < 65'536; first += 4096) {
      std::vector<Packet> syns;
      for (unsigned port = first; port < std::min(first + 4096, 65'536u); ++port) {
        syns.push_back({scanner, host(), kTcp, source, static_cast<std::uint16_t>(port), kSyn, 1, 0});
      }
      link.send(syns);
      note(link.receive(10ms));
    }
    for (auto more = link.receive(300ms); !more.empty(); more = link.receive(300ms)) {
      note(more);
    }
    return out;
  }

 private:
  std::uint16_t scans_ = 5000;
};
BOTH_FAMILIES(Ports);

TEST_P(Ports, DefaultPolicyOpensFourTcpPortsAndNoOther) {
  const Server server(net.host, {22, 80, 202, 443, 8080});
  EXPECT_EQ(answering().size(), 65'535u) << "a host without firewall answers on every port";
  fw.apply();
  EXPECT_EQ(answering(), (std::set<std::uint16_t>{22, 80, 202, 443}));
}

}  // namespace
}  // namespace lab
