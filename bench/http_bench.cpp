// Reading the head of a proxy's question: our own reader, and Boost.Beast's parser. ns a head,
// medians of rounds in turn.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "fw/services/http_request.hpp"

namespace {

namespace http = boost::beast::http;

/// As nginx writes it, and with what a browser sends where a proxy passes all of it on.
const std::string kShort =
    "GET /v1/limit/password?refuse=403 HTTP/1.1\r\nHost: cloudron_fw_limit\r\n"
    "X-Client: 2001:db8:7::1\r\nX-Peer: 2001:db8:7::1\r\nX-Site: wiki.example.org\r\n\r\n";
const std::string kLong =
    kShort.substr(0, kShort.size() - 2) +
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://wiki.example.org/\r\nCookie: session=" +
    std::string(400, 'c') + "\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n";

std::size_t own(const std::string& bytes) {
  const auto head = fw::services::read_head(bytes);
  return head.request.client.size() + head.request.site.size() + head.request.path.size();
}

std::size_t beast(const std::string& bytes) {
  http::request_parser<http::empty_body> parser;
  boost::system::error_code error;
  parser.put(boost::asio::buffer(bytes), error);
  const auto& request = parser.get();
  return request["X-Client"].size() + request["X-Site"].size() + request.target().size();
}

template <class Read>
double ns_of(Read read, const std::string& bytes) {
  constexpr int kTimes = 200'000;
  std::size_t sum = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) sum += read(bytes);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  if (sum == 0) std::puts("nothing was read");
  return took.count() / kTimes;
}

double median(std::vector<double> all) {
  std::ranges::sort(all);
  return all[all.size() / 2];
}

}  // namespace

int main() {
  for (const std::string& bytes : {kShort, kLong}) {
    std::vector<double> ours, theirs;
    for (int round = 0; round < 9; ++round) {
      ours.push_back(ns_of(own, bytes));
      theirs.push_back(ns_of(beast, bytes));
    }
    std::printf("%4zu bytes: ours %.0f ns, Beast's %.0f ns\n", bytes.size(), median(ours),
                median(theirs));
  }
}
