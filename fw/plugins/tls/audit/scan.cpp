// Finds what a server offers by asking it again and again, with less each time.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/scan.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <random>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

/// Some servers give up on longer lists; and parts of a list are asked for at once.
constexpr std::size_t kSuitesAtOnce = 96;

/// A name that nobody can have: RFC 6761, 6.4.
constexpr const char* kUnknownName = "no-site-has-this-name.invalid";

std::string random_bytes() {
  std::random_device source;
  std::string bytes;
  while (bytes.size() < 32) bytes += static_cast<char>(source());
  return bytes;
}

std::vector<std::uint16_t> all_groups() {
  std::vector<std::uint16_t> codes;
  for (const Group& group : groups()) codes.push_back(group.code);
  return codes;
}

bool is_among(std::uint32_t code, const std::vector<std::uint32_t>& codes) {
  return std::ranges::find(codes, code) != codes.end();
}

template <class Wanted>
std::vector<std::uint32_t> some_of(const std::vector<std::uint32_t>& codes, Wanted wanted) {
  std::vector<std::uint32_t> some;
  std::ranges::copy_if(codes, std::back_inserter(some),
                       [&](std::uint32_t code) { return wanted(traits(code)); });
  return some;
}

/// An offer in two halves, which are asked for at once.
template <class T>
void split(Offer whole, std::vector<T> Offer::*list, std::vector<Offer>& into) {
  std::vector<T>& all = whole.*list;
  if (all.empty()) return;
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  Offer rest = whole;
  (rest.*list).assign(middle, all.end());
  all.erase(middle, all.end());
  if (!all.empty()) into.push_back(std::move(whole));
  into.push_back(std::move(rest));
}

class Scanner {
 public:
  Scanner(const Target& target, Clock::time_point deadline) : target_(target), deadline_(deadline) {
    if (!parse_ip(target.name)) name_ = target.name;
  }

  Result<ScanFacts> run() {
    if (auto found = find_suites(); !found) return std::unexpected(found.error());
    find_groups();
    find_certificates();
    ask_for_the_rest();
    return std::move(facts_);
  }

 private:
  using Answers = std::vector<ServerAnswer>;

  Answers answers(const std::vector<Offer>& offers, ReadUntil until) {
    std::vector<Question> questions;
    questions.reserve(offers.size());
    for (const Offer& offer : offers) {
      questions.push_back({client_hello(offer, random_bytes()), [until](std::string_view bytes) {
                             return read_server(bytes, until).has_value();
                           }});
    }
    replies_ = ask(target_, questions, deadline_, kTlsAnswerMax);
    Answers all;
    for (const Reply& reply : replies_) {
      all.push_back(read_server(reply.bytes, until).value_or(ServerAnswer{}));
      if (reply.end == Reply::End::late || reply.end == Reply::End::unreachable)
        facts_.complete = false;
    }
    return all;
  }

  Offer offer_of(Version version, std::vector<std::uint32_t> suites) const {
    return {version, std::move(suites),
            version > Version::ssl3 ? all_groups() : std::vector<std::uint16_t>{}, name_, false};
  }

  /// Why no answer came, of the connection that came furthest.
  Error why_silent() const {
    const std::string where = to_string(target_.endpoint);
    const auto ended = [this](Reply::End how) {
      return std::ranges::find(replies_, how, &Reply::end);
    };
    if (const auto one = ended(Reply::End::no_tls); one != replies_.end())
      return {ErrorCode::unsupported, fmt::format("{} {}", where, one->why), {}, {}, 0};
    if (std::ranges::any_of(replies_, [](const Reply& one) { return !one.bytes.empty(); }))
      return {ErrorCode::unsupported,
              where + " refuses every version of TLS, or does not speak it",
              {},
              {},
              0};
    if (ended(Reply::End::late) != replies_.end())
      return {ErrorCode::io, where + " accepts connections and says nothing", {}, {}, 0};
    const auto gone = ended(Reply::End::unreachable);
    return {
        ErrorCode::io,
        gone != replies_.end() ? "no connection to " + where : where + " closes every connection",
        {},
        {},
        gone != replies_.end() ? gone->sys_errno : 0};
  }

  /// All suites of all versions, in parts; what servers like to offer comes first.
  std::vector<Offer> whole_offer() const {
    std::vector<Offer> offers;
    for (std::size_t version = std::size(kVersions); version-- > 0;) {
      std::vector<std::uint32_t> codes;
      for (const Suite& suite : suites())
        if (belongs_to(suite.code, kVersions[version])) codes.push_back(suite.code);
      std::ranges::reverse(codes);
      for (std::size_t i = 0; i < codes.size(); i += kSuitesAtOnce) {
        const auto end = std::min(i + kSuitesAtOnce, codes.size());
        offers.push_back(
            offer_of(kVersions[version], {codes.begin() + static_cast<std::ptrdiff_t>(i),
                                          codes.begin() + static_cast<std::ptrdiff_t>(end)}));
      }
    }
    return offers;
  }

  /// The first round. Who is silent to the first of it is not asked for the rest.
  Result<Answers> first_answers(const std::vector<Offer>& offers) {
    const auto part =
        offers.begin() + static_cast<std::ptrdiff_t>(std::min(kTlsConnectionsMax, offers.size()));
    Answers all = answers({offers.begin(), part}, ReadUntil::hello);
    const bool silent = std::ranges::all_of(replies_, [](const Reply& reply) {
      return reply.end == Reply::End::late || reply.end == Reply::End::unreachable;
    });
    if (silent) return std::unexpected(why_silent());
    const Answers rest = answers({part, offers.end()}, ReadUntil::hello);
    all.insert(all.end(), rest.begin(), rest.end());
    if (std::ranges::none_of(all, &ServerAnswer::agreed)) return std::unexpected(why_silent());
    return all;
  }

  /// By elimination: what the server chose is not offered again, and the rest in halves, so that it
  /// takes few rounds.
  Result<void> find_suites() {
    std::vector<Offer> offers = whole_offer();
    std::array<std::vector<std::uint32_t>, std::size(kVersions)> found;
    auto all = first_answers(offers);
    if (!all) return std::unexpected(all.error());
    while (!offers.empty()) {
      std::vector<Offer> next;
      for (std::size_t i = 0; i < offers.size(); ++i) {
        const auto place = std::ranges::find(kVersions, offers[i].version) - std::begin(kVersions);
        if (!note_choice(offers[i], (*all)[i], found[static_cast<std::size_t>(place)])) continue;
        split(std::move(offers[i]), &Offer::suites, next);
      }
      offers = std::move(next);
      all = answers(offers, ReadUntil::hello);
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      std::ranges::sort(found[i]);
      if (!found[i].empty()) facts_.offered.push_back({kVersions[i], std::move(found[i])});
    }
    return {};
  }

  /// false: nothing of the offer is left to be chosen.
  bool note_choice(Offer& offer, const ServerAnswer& answer, std::vector<std::uint32_t>& found) {
    if (!answer.agreed() || answer.version != offer.version) return false;
    if (offer.version == Version::ssl2) {
      for (const std::uint32_t code : answer.suites_of_ssl2)
        if (is_among(code, offer.suites) && !is_among(code, found)) found.push_back(code);
      return false;
    }
    if (!is_among(answer.suite, offer.suites)) return false;
    found.push_back(answer.suite);
    std::erase(offer.suites, answer.suite);
    if (answer.kind == ServerAnswer::Kind::hello && offer.version != Version::tls13)
      facts_.renegotiates_safely &= answer.renegotiates_safely;
    return true;
  }

  void note_group(std::uint16_t code) {
    if (std::ranges::find(facts_.groups, code) == facts_.groups.end())
      facts_.groups.push_back(code);
  }

  const std::vector<std::uint32_t>* suites_of(Version version) const {
    const auto found = std::ranges::find(facts_.offered, version, &VersionSuites::version);
    return found == facts_.offered.end() ? nullptr : &found->suites;
  }
  /// The latest one before TLS 1.3; nothing when there is none with extensions.
  std::optional<Version> latest_open() const {
    for (const Version version : {Version::tls12, Version::tls11, Version::tls10})
      if (suites_of(version) != nullptr) return version;
    return std::nullopt;
  }

  void find_groups() {
    std::vector<Offer> offers;
    if (const auto* of_tls13 = suites_of(Version::tls13))
      offers.push_back(offer_of(Version::tls13, *of_tls13));
    if (const auto version = latest_open()) {
      auto ecdhe = some_of(*suites_of(*version), [](const SuiteTraits& suite) {
        return suite.elliptic && suite.forward_secret;
      });
      if (!ecdhe.empty()) offers.push_back(offer_of(*version, std::move(ecdhe)));
    }
    while (!offers.empty()) {
      const Answers all = answers(offers, ReadUntil::keys);
      std::vector<Offer> next;
      for (std::size_t i = 0; i < offers.size(); ++i) {
        if (!all[i].agreed() || !all[i].group) continue;
        if (std::erase(offers[i].groups, *all[i].group) == 0) continue;
        note_group(*all[i].group);
        split(std::move(offers[i]), &Offer::groups, next);
      }
      offers = std::move(next);
    }
    std::ranges::sort(facts_.groups);
  }

  /// The prime of DHE, and the certificate of each kind of key.
  void find_certificates() {
    const auto version = latest_open();
    if (!version) return;
    const auto& codes = *suites_of(*version);
    std::vector<Offer> offers;
    const auto add = [&](auto wanted) {
      auto some = some_of(codes, wanted);
      if (some.empty()) return;
      offers.push_back(offer_of(*version, std::move(some)));
    };
    add([](const SuiteTraits& suite) {
      return suite.forward_secret && !suite.elliptic && !suite.anonymous;
    });
    if (!offers.empty()) std::erase_if(offers.back().groups, [](auto code) { return code >= 256; });
    add([](const SuiteTraits& suite) { return suite.ecdsa; });
    add([](const SuiteTraits& suite) { return !suite.ecdsa && !suite.anonymous; });
    for (ServerAnswer& answer : answers(offers, ReadUntil::keys)) {
      if (answer.dh_bits)
        facts_.dh_bits = std::min(facts_.dh_bits.value_or(1 << 20), *answer.dh_bits);
      if (answer.certificates.empty()) continue;
      const bool known = std::ranges::any_of(facts_.chains, [&](const auto& chain) {
        return chain.front() == answer.certificates.front();
      });
      if (!known) facts_.chains.push_back(std::move(answer.certificates));
    }
  }

  /// Compression, and a name that no site has.
  void ask_for_the_rest() {
    if (facts_.offered.back().version < Version::tls10) return;
    const Version version = latest_open().value_or(Version::tls13);
    std::vector<Offer> offers(2, offer_of(version, *suites_of(version)));
    offers[0].compression = true;
    offers[1].server_name = kUnknownName;
    const Answers all = answers(offers, ReadUntil::keys);
    facts_.compression = all[0].agreed() && all[0].compressed;
    if (name_.empty() || replies_[1].end == Reply::End::late) return;
    facts_.unknown_name = unknown_name_of(all[1]);
  }

  UnknownName unknown_name_of(const ServerAnswer& answer) const {
    if (!answer.agreed()) return UnknownName::refused;
    if (answer.certificates.empty()) return UnknownName::answered;
    const bool ours = std::ranges::any_of(facts_.chains, [&](const auto& chain) {
      return chain.front() == answer.certificates.front();
    });
    return ours ? UnknownName::this_site : UnknownName::other_site;
  }

  const Target& target_;
  Clock::time_point deadline_;
  std::string name_;  ///< "": the target is known by its address only
  std::vector<Reply> replies_;
  ScanFacts facts_;
};

}  // namespace

Result<ScanFacts> scan(const Target& target, Clock::time_point deadline) {
  return Scanner(target, deadline).run();
}

}  // namespace fw::tls
