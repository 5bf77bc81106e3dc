// Requests to the limiter's service: whatever arrives is read within its bounds, and one head is
// read the same however much follows it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fw/services/http_answers.hpp"
#include "fw/services/http_request.hpp"

namespace {

fw::services::Api made_api() {
  using namespace fw::services;
  Api api(LimiterCore(Budgets::make({64, 64}).value()), AskedFor::make().value(),
          [](const WantedBlock&) {});
  api.use(fw::HttpRules{{fw::default_http_limit("password", {10, std::chrono::seconds{1}})},
                        {},
                        {{{3, std::chrono::seconds{60}}, {"password"}}}});
  api.use(Tokens::read("wiki tttttttttttttttttttttttttttttttt\n").value());
  return api;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fw::services;
  static Api api = made_api();
  static limiter::Ticks now = 8'000'000;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ReadHead head = read_head(bytes);
  if (head.reading == Reading::partial) return 0;
  if (head.size > size) __builtin_trap();
  const ReadHead alone = read_head(bytes.substr(0, head.size));
  if (alone.reading != head.reading || alone.size != head.size) __builtin_trap();
  if (head.reading != Reading::whole) return 0;
  std::string out;
  if (api.answer(head.request, bytes.substr(head.size), now += 1000, out, [] {}) ==
      Responded::later) {
    const auto asked = api.blocked().next_question();
    api.blocked().answered(asked, std::vector<fw::Ip>{}, {});
    return 0;
  }
  if (!out.starts_with("HTTP/1.1 ") || out.find("\r\n\r\n") == out.npos) __builtin_trap();
  return 0;
}
