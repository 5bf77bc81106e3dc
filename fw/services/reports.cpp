// Reports of failed passwords.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/reports.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/services/hash_text.hpp"

namespace fw::services {
namespace {

namespace json = boost::json;

constexpr std::size_t kTokenMin = 32;
constexpr limiter::Ticks kAskedKeep = limiter::to_ticks(std::chrono::minutes{10});
/// Each question is kept for ten minutes, or for as much longer as there were others before it.
constexpr limiter::Quota kAsked{kAskedKeep, kAskedKeep};

std::unexpected<Error> wrong(std::string what) { return fail(ErrorCode::usage, std::move(what)); }

/// A field that may be missing. False: it is there, and no short text.
bool read_text(const json::object& from, std::string_view name, std::string& out) {
  const json::value* const found = from.if_contains(name);
  if (found == nullptr || found->is_null()) return true;
  if (!found->is_string() || found->get_string().size() > kServiceNameMax) return false;
  out.assign(found->get_string().data(), found->get_string().size());
  return true;
}

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlank = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

std::uint64_t hash_pair(const limiter::Secret& secret, std::string_view site, Ip client) {
  const auto family = static_cast<std::uint32_t>(client.family);
  const std::uint64_t name = hash_text(secret, site, family);
  return limiter::hash(secret, limiter::Key{static_cast<std::uint64_t>(client.bits >> 64),
                                            static_cast<std::uint64_t>(client.bits),
                                            static_cast<std::uint32_t>(name >> 32),
                                            static_cast<std::uint32_t>(name)});
}

}  // namespace

Result<Report> read_report(std::string_view text) {
  json::parse_options options;
  options.max_depth = 4;
  boost::system::error_code error;
  const json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return wrong("a report is a JSON object");
  const json::object& fields = value.get_object();
  Report report;
  std::string client;
  for (const auto& [name, into] : {std::pair<const char*, std::string*>{"client", &client},
                                   {"limit", &report.limit},
                                   {"account", &report.account},
                                   {"reason", &report.reason}}) {
    if (!read_text(fields, name, *into))
      return wrong(fmt::format("{} is no text of at most {} bytes", name, kServiceNameMax));
  }
  const auto ip = parse_ip(client);
  if (!ip) return wrong("client is no address");
  report.client = *ip;
  return report;
}

Result<Tokens> Tokens::read(std::string_view text) {
  Tokens tokens;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view site = next_word(line);
    if (site.empty() || site.front() == '#') continue;
    const std::string_view token = next_word(line);
    if (token.size() < kTokenMin || !next_word(line).empty() || site.size() > kServiceNameMax)
      return wrong(
          fmt::format("line {}: it must be a site and a token of 32 characters or more", number));
    if (!tokens.of_site_.emplace(site, token).second)
      return wrong(fmt::format("line {}: site {} has a token already", number, quote(site)));
    if (tokens.size() > kServiceSitesMax)
      return wrong(fmt::format("there are more than {} sites", kServiceSitesMax));
  }
  return tokens;
}

bool Tokens::allow(std::string_view site, std::string_view token) const {
  const auto found = of_site_.find(site);
  if (found == of_site_.end() || found->second.size() != token.size()) return false;
  unsigned differ = 0;
  for (std::size_t i = 0; i < token.size(); ++i)
    differ |= static_cast<unsigned>(static_cast<unsigned char>(found->second[i] ^ token[i]));
  return differ == 0;
}

Result<AskedFor> AskedFor::make() {
  auto table = limiter::Table::make(kAskedSlots);
  if (!table) return std::unexpected(table.error());
  return AskedFor(std::move(*table));
}

void AskedFor::note(std::string_view site, Ip client, limiter::Ticks now) {
  table_.take({hash_pair(secret_, site, client), &kAsked}, now);
}

bool AskedFor::knows(std::string_view site, Ip client, limiter::Ticks now) const {
  // One that was never noted has no debt, so a burst of one would admit it.
  static constexpr limiter::Quota kAny{2 * kAskedKeep, 0};
  return !table_.look({hash_pair(secret_, site, client), &kAny}, now).admitted();
}

}  // namespace fw::services
