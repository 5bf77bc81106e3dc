#include "tests/lab/family.hpp"
#include "tests/lab/process.hpp"
#include <iostream>
namespace lab {
TEST(Zz, Delay) {
  Network net;
  const Server server(net.host, {22});
  for (auto f : {Family::ipv4, Family::ipv6}) for (int i = 0; i < 3; ++i) {
    auto t = Clock::now();
    std::cout << Client(net.outside, client(f, 1)).tcp(host_address(f), 22) << " " << seconds_of(Clock::now() - t) << std::endl;
  }
  std::cout << run(net.host, {"ip", "-6", "neigh"}).out << run(net.host, {"ip", "-6", "addr"}).out<< run(net.outside, {"ip", "-6", "addr"}).out;
}
}
