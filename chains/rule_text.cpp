// An admin's own rules, read from files in a subset of nft's language.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/rule_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "chains/build.hpp"
#include "fw/base/ip_protocol.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace chains {

using namespace build;

namespace {

using Done = fw::Result<void>;

struct Token {
  enum class Kind : std::uint8_t { word, text, open, close, comma, end_of_rule, not_equal, end };
  Kind kind = Kind::end;
  std::string text;
  fw::Location where;

  bool is(std::string_view word) const { return kind == Kind::word && text == word; }
  bool ends_rule() const {
    return kind == Kind::end_of_rule || kind == Kind::close || kind == Kind::end;
  }
};

/// A file as tokens; a line's end and a semicolon end a rule.
class Tokens {
 public:
  explicit Tokens(const fw::RuleFile& file) : path_(file.path), left_(file.text) {}

  std::vector<Token> all() {
    std::vector<Token> out;
    do out.push_back(next());
    while (out.back().kind != Token::Kind::end);
    return out;
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  void skip() {
    while (!left_.empty()) {
      if (left_.starts_with("\\\n")) {
        take(1);
        new_line();
      } else if (left_[0] == '#') {
        take(std::min(left_.find('\n'), left_.size()));
      } else if (is_space(left_[0])) {
        take(1);
      } else {
        return;
      }
    }
  }
  std::string take(std::size_t count) {
    std::string taken(left_.substr(0, count));
    left_.remove_prefix(taken.size());
    column_ += static_cast<int>(taken.size());
    return taken;
  }
  void new_line() {
    left_.remove_prefix(1);
    ++line_;
    column_ = 1;
  }

  Token next() {
    using Kind = Token::Kind;
    skip();
    Token token{Kind::end, {}, {path_, line_, column_}};
    if (left_.empty()) return token;
    const auto one = [&](Kind kind, std::size_t length) {
      token.kind = kind;
      token.text = take(length);
      return token;
    };
    if (left_[0] == '\n') {
      token.kind = Kind::end_of_rule;
      new_line();
      return token;
    }
    if (left_[0] == ';') return one(Kind::end_of_rule, 1);
    if (left_[0] == '{') return one(Kind::open, 1);
    if (left_[0] == '}') return one(Kind::close, 1);
    if (left_[0] == ',') return one(Kind::comma, 1);
    if (left_.starts_with("!=")) return one(Kind::not_equal, 2);
    if (left_[0] == '"') {
      const std::size_t end = left_.substr(1).find_first_of("\"\n");
      if (end == left_.npos || left_[end + 1] == '\n') return one(Kind::word, 1);
      one(Kind::text, end + 2);
      token.text = token.text.substr(1, end);
      return token;
    }
    return one(Kind::word, std::max<std::size_t>(left_.find_first_of(" \t\r\n;{},\"#"), 1));
  }

  const std::string& path_;
  std::string_view left_;
  int line_ = 1;
  int column_ = 1;
};

struct Number {
  std::string_view name;
  std::uint32_t number;
};
constexpr std::array kStateNames{Number{"invalid", 1}, Number{"established", 2},
                                 Number{"related", 4}, Number{"new", 8}, Number{"untracked", 64}};
constexpr std::array kIcmpNames{
    Number{"echo-reply", 0},        Number{"destination-unreachable", 3},
    Number{"redirect", 5},          Number{"echo-request", 8},
    Number{"time-exceeded", 11},    Number{"parameter-problem", 12},
    Number{"timestamp-request", 13}};
constexpr std::array kIcmp6Names{
    Number{"destination-unreachable", 1}, Number{"packet-too-big", 2},
    Number{"time-exceeded", 3},           Number{"parameter-problem", 4},
    Number{"echo-request", 128},          Number{"echo-reply", 129},
    Number{"mld-listener-query", 130},    Number{"mld-listener-report", 131},
    Number{"nd-router-solicit", 133},     Number{"nd-router-advert", 134},
    Number{"nd-neighbor-solicit", 135},   Number{"nd-neighbor-advert", 136},
    Number{"mld2-listener-report", 143}};
constexpr std::array kLevels{Number{"emerg", 0}, Number{"alert", 1}, Number{"crit", 2},
                             Number{"err", 3},   Number{"warn", 4},  Number{"notice", 5},
                             Number{"info", 6},  Number{"debug", 7}};

std::optional<std::uint32_t> whole_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return {};
  return number;
}

/// First and last of what a rule compares with.
struct Span {
  Bytes first;
  Bytes last;

  auto operator<=>(const Span&) const = default;
};

/// The part of a language of values: one, or several in braces, perhaps behind "!=".
struct Values {
  bool inverted = false;
  std::vector<Token> all;
};

class Reading {
 public:
  Reading(const fw::RuleFile& file, RulesOfFiles& out)
      : file_(file), tokens_(Tokens(file).all()), out_(out) {}

  void all() {
    while (!at(Token::Kind::end)) {
      if (const Done done = statement(); !done) {
        if (out_.problems.size() < fw::kPolicyProblemsMax) {
          out_.problems.push_back({fw::Severity::error, done.error().what, done.error().where});
        }
        while (!at(Token::Kind::end_of_rule) && !at(Token::Kind::end)) ++next_;
      }
    }
    if (in_table_ || !chain_.empty()) {
      out_.problems.push_back({fw::Severity::error, "a } is missing at the end", now().where});
    }
  }

 private:
  const Token& now() const { return tokens_[next_]; }
  bool at(Token::Kind kind) const { return now().kind == kind; }
  Token take() { return at(Token::Kind::end) ? now() : tokens_[next_++]; }
  bool take_if(std::string_view word) {
    if (!now().is(word)) return false;
    ++next_;
    return true;
  }
  static std::unexpected<fw::Error> wrong(const Token& token, std::string what) {
    return fw::fail(fw::ErrorCode::policy, std::move(what), token.where);
  }
  static std::string named(const Token& token) {
    return token.ends_rule() ? "the end of the rule" : fw::quote(token.text);
  }

  // ---- Where rules stand.

  Done statement() {
    if (at(Token::Kind::end_of_rule)) return void(++next_), Done{};
    if (at(Token::Kind::close)) {
      const Token brace = take();
      if (!chain_.empty()) return chain_.clear(), Done{};
      if (in_table_) return in_table_ = false, Done{};
      return wrong(brace, "there is no open {; remove it");
    }
    if (!chain_.empty()) return rule_of(chain_);
    if (take_if("add")) return added_rule();
    if (take_if("table")) {
      if (const Done ours = our_table(); !ours) return ours;
      in_table_ = true;
      return brace();
    }
    if (take_if("chain")) {
      auto name = admin_chain();
      if (!name) return std::unexpected(name.error());
      if (const Done opened = brace(); !opened) return opened;
      chain_ = std::move(*name);
      return {};
    }
    return wrong(take(),
                 "a rule stands in a chain: write chain CLOUDRON_BEFORE { ... }, or add rule "
                 "inet cloudron CLOUDRON_BEFORE ...");
  }

  Done added_rule() {
    if (!take_if("rule")) return wrong(now(), "only rules can be added; write add rule ...");
    if (const Done ours = our_table(); !ours) return ours;
    auto name = admin_chain();
    if (!name) return std::unexpected(name.error());
    return rule_of(*name);
  }

  Done our_table() {
    const Token family = take();
    if (!family.is("inet") || !take_if(kTable))
      return wrong(family, fmt::format("rules.d is only for the table inet {}; other tables are "
                                       "for nft and its own /etc/nftables.conf",
                                       kTable));
    return {};
  }

  fw::Result<std::string> admin_chain() {
    const Token name = take();
    if (std::ranges::find(kAdminChains, name.text) != std::end(kAdminChains)) return name.text;
    return wrong(name, fmt::format("rules go into {}, not into {}", fmt::join(kAdminChains, ", "),
                                   named(name)));
  }

  Done brace() {
    if (!at(Token::Kind::open)) return wrong(now(), "write { here");
    ++next_;
    return {};
  }

  // ---- A rule.

  Done rule_of(const std::string& admin_chain) {
    rule_ = {};
    rule_.where = now().where;
    ended_ = false;
    while (!now().ends_rule()) {
      if (const Done done = part(); !done) return done;
      if (rule_.exprs.size() > fw::kRulePartsMax)
        return wrong(now(),
                     fmt::format("a rule has {} parts at most, each a test, a counter or the "
                                 "like; values in braces count as one test",
                                 fw::kRulePartsMax));
    }
    if (rule_.exprs.empty()) return wrong(now(), "the rule is empty");
    if (rule_.id.empty()) rule_.id = file_.path.substr(file_.path.rfind('/') + 1);
    const std::string name = rules_chain(admin_chain);
    auto chain = std::ranges::find(out_.rules.chains, name, &Chain::name);
    if (chain == out_.rules.chains.end()) {
      out_.rules.chains.push_back({name, {}, {}, false});
      chain = std::prev(out_.rules.chains.end());
    }
    if (chain->rules.size() >= fw::kRulesMax)
      return wrong(now(), fmt::format("a chain holds at most {} rules", fw::kRulesMax));
    chain->rules.push_back(std::move(rule_));
    return {};
  }

  Done part() {
    const Token word = take();
    if (word.is("comment")) return comment();
    if (ended_) return wrong(word, "only a comment may follow the verdict");
    if (word.is("ip")) return address_or(fw::Family::ipv4, "protocol");
    if (word.is("ip6")) return address_or(fw::Family::ipv6, "nexthdr");
    if (word.is("tcp")) return ports(fw::Protocol::tcp);
    if (word.is("udp")) return ports(fw::Protocol::udp);
    if (word.is("th")) return ports({});
    if (word.is("icmp")) return icmp(fw::Family::ipv4);
    if (word.is("icmpv6")) return icmp(fw::Family::ipv6);
    if (word.is("iifname")) return interface(Field::iifname);
    if (word.is("oifname")) return interface(Field::oifname);
    if (word.is("meta")) return meta();
    if (word.is("ct")) return state();
    if (word.is("limit")) return limit();
    if (word.is("counter")) return counter();
    if (word.is("log")) return log();
    return verdict(word);
  }

  Done comment() {
    const Token text = take();
    if (text.kind != Token::Kind::text) return wrong(text, "write comment \"...\"");
    rule_.id = text.text;
    return {};
  }

  Done verdict(const Token& word) {
    ended_ = true;
    if (word.is("accept")) return add(accept());
    if (word.is("drop")) return add(drop());
    if (word.is("return")) return add(ret());
    if (word.is("reject")) {
      if (!take_if("with")) return add(Reject{});
      const Token how = take();
      if (!how.is("tcp") || !take_if("reset"))
        return wrong(how, "write reject, or reject with tcp reset");
      need(is_protocol(fw::Protocol::tcp));
      return add(RejectTcpReset{});
    }
    constexpr std::array<std::string_view, 19> kKnown{
        "ip",      "ip6",     "tcp",    "udp",      "th",     "icmp",    "icmpv6",
        "iifname", "oifname", "meta",   "ct state", "limit",  "counter", "log",
        "accept",  "drop",    "return", "reject",   "comment"};
    const std::string_view guess = fw::nearest(word.text, kKnown);
    return wrong(word, fmt::format("{} is unknown here; {}", named(word),
                                   guess.empty() ? fmt::format("known are {}; other rules can be "
                                                               "added by hand with nft",
                                                               fmt::join(kKnown, ", "))
                                                 : fmt::format("did you mean {}?", guess)));
  }

  // ---- What a rule asks.

  fw::Result<Values> values() {
    Values out;
    if (at(Token::Kind::not_equal)) {
      ++next_;
      out.inverted = true;
    }
    take_if("==");
    if (!at(Token::Kind::open)) {
      out.all.push_back(take());
      if (out.all[0].ends_rule()) return wrong(out.all[0], "a value is missing here");
      return out;
    }
    ++next_;
    for (;;) {
      while (now().kind == Token::Kind::end_of_rule && now().text.empty()) ++next_;  // lines
      const Token value = take();
      if (value.kind == Token::Kind::close && !out.all.empty()) return out;
      if (value.kind != Token::Kind::word && value.kind != Token::Kind::text)
        return wrong(value, "write values with commas between them: { 22, 80 }");
      out.all.push_back(value);
      if (out.all.size() > fw::kRuleValuesMax)
        return wrong(value,
                     fmt::format("at most {} values stand in one rule; a [[list]] takes more",
                                 fw::kRuleValuesMax));
      while (now().kind == Token::Kind::end_of_rule && now().text.empty()) ++next_;
      if (at(Token::Kind::comma)) ++next_;
    }
  }

  /// Compares with one value, or looks into a set of them.
  Done test(Field field, const Values& values, std::vector<Span> spans) {
    std::ranges::sort(spans);
    std::vector<Span> merged;
    for (Span& span : spans) {
      if (!merged.empty() && span.first <= merged.back().last) {
        merged.back().last = std::max(merged.back().last, span.last);
      } else {
        merged.push_back(std::move(span));
      }
    }
    if (merged.size() == 1 && merged[0].first == merged[0].last) {
      const Compare op = values.inverted ? Compare::not_equal : Compare::equal;
      return add(Match{{field, {}}, op, merged[0].first});
    }
    Set set;
    set.name = fmt::format("rules.{}", out_.rules.sets.size() + 1);
    set.key = {field};
    set.where = rule_.where;
    set.interval =
        std::ranges::any_of(merged, [](const Span& span) { return span.first != span.last; });
    for (Span& span : merged) {
      Bytes last = set.interval ? std::move(span.last) : Bytes{};
      set.elements.push_back({std::move(span.first), std::move(last), {}, {}, rule_.where});
    }
    const Key key{{field, {}}};
    const Done done = add(values.inverted ? not_in_set(key, set.name) : in_set(key, set.name));
    out_.rules.sets.push_back(std::move(set));
    return done;
  }

  Done address_or(fw::Family family, std::string_view protocol) {
    const Token which = take();
    if (which.is(protocol)) {
      need(is_family(family));
      return protocols();
    }
    if (!which.is("saddr") && !which.is("daddr")) {
      return wrong(which, fmt::format("{} is unknown here; write saddr, daddr or {}", named(which),
                                      protocol));
    }
    const auto values = this->values();
    if (!values) return std::unexpected(values.error());
    need(is_family(family));
    const Field field = which.is("saddr") ? saddr(family) : daddr(family);
    std::vector<Span> spans;
    for (const Token& value : values->all) {
      const auto range = fw::parse_ip_range(value.text);
      if (!range) return wrong(value, range.error().what);
      if (range->family != family) {
        return wrong(value,
                     fmt::format("{} is of the other address family; write {} {}", value.text,
                                 family == fw::Family::ipv4 ? "ip6" : "ip", which.text));
      }
      if (values->all.size() == 1 && is_network(*range)) {
        Expr network = in_network(field, *range);
        if (values->inverted) std::get<Match>(network).op = Compare::not_equal;
        return add(std::move(network));
      }
      spans.push_back({ip_bytes({family, range->first}), ip_bytes({family, range->last})});
    }
    return test(field, *values, std::move(spans));
  }

  Done ports(std::optional<fw::Protocol> protocol) {
    const Token which = take();
    if (!which.is("sport") && !which.is("dport"))
      return wrong(which, fmt::format("{} is unknown here; write sport or dport", named(which)));
    const auto values = this->values();
    if (!values) return std::unexpected(values.error());
    if (protocol) need(is_protocol(*protocol));
    const Field to = protocol == fw::Protocol::udp ? Field::udp_dport : Field::th_dport;
    std::vector<Span> spans;
    for (const Token& value : values->all) {
      const std::string_view text = value.text;
      const std::size_t dash = text.find('-');
      const auto first = whole_number(text.substr(0, dash));
      const auto last = dash == text.npos ? first : whole_number(text.substr(dash + 1));
      if (!first || !last || *first > *last || *last > 65'535) {
        return wrong(value, fmt::format("{} is not a port; write a number or a range, e.g. 22 or "
                                        "8000-8100",
                                        named(value)));
      }
      spans.push_back(
          {u16(static_cast<std::uint16_t>(*first)), u16(static_cast<std::uint16_t>(*last))});
    }
    return test(which.is("dport") ? to : Field::th_sport, *values, std::move(spans));
  }

  Done protocols() {
    const auto values = this->values();
    if (!values) return std::unexpected(values.error());
    std::vector<Span> spans;
    for (const Token& value : values->all) {
      auto number = whole_number(value.text);
      const auto known = std::ranges::find(fw::kIpProtocols, value.text, &fw::IpProtocol::name);
      if (known != fw::kIpProtocols.end()) number = known->number;
      if (value.text == "ipv6-icmp") number = 58;
      if (!number || *number > 255)
        return wrong(value,
                     fmt::format("{} is not a known protocol; write its number", named(value)));
      const Bytes byte = u8(static_cast<std::uint8_t>(*number));
      spans.push_back({byte, byte});
    }
    return test(Field::l4proto, *values, std::move(spans));
  }

  Done icmp(fw::Family family) {
    const Token which = take();
    if (!which.is("type")) return wrong(which, "write type here, e.g. icmp type echo-request");
    const auto values = this->values();
    if (!values) return std::unexpected(values.error());
    const bool v4 = family == fw::Family::ipv4;
    const std::span<const Number> names = v4 ? std::span<const Number>(kIcmpNames) : kIcmp6Names;
    need(is_family(family));
    need(match(Field::l4proto, u8(v4 ? 1 : 58)));
    std::vector<Span> spans;
    for (const Token& value : values->all) {
      auto number = whole_number(value.text);
      const auto known = std::ranges::find(names, value.text, &Number::name);
      if (known != names.end()) number = known->number;
      if (!number || *number > 255)
        return wrong(value,
                     fmt::format("{} is not a known ICMP type; write its number", named(value)));
      const Bytes byte = u8(static_cast<std::uint8_t>(*number));
      spans.push_back({byte, byte});
    }
    return test(v4 ? Field::icmp_type : Field::icmpv6_type, *values, std::move(spans));
  }

  Done interface(Field field) {
    const auto values = this->values();
    if (!values) return std::unexpected(values.error());
    std::vector<Span> spans;
    for (const Token& value : values->all) {
      if (value.text.empty() || value.text.size() > fw::kInterfaceNameMax + 1 || value.text == "*")
        return wrong(value, fmt::format("{} is not an interface name", named(value)));
      const bool several = value.text.ends_with('*');
      if (several && values->all.size() > 1)
        return wrong(value, "a name with * cannot be one of several; write a rule for each");
      const Bytes name = interface_bytes(value.text);
      spans.push_back({name, name});
    }
    return test(field, *values, std::move(spans));
  }

  Done meta() {
    const Token which = take();
    if (which.is("l4proto")) return protocols();
    if (which.is("iifname")) return interface(Field::iifname);
    if (which.is("oifname")) return interface(Field::oifname);
    if (!which.is("nfproto"))
      return wrong(which, fmt::format("{} is unknown here; write l4proto, nfproto, iifname "
                                      "or oifname",
                                      named(which)));
    const Token family = take();
    if (family.is("ipv4")) return add(is_family(fw::Family::ipv4));
    if (family.is("ipv6")) return add(is_family(fw::Family::ipv6));
    return wrong(family, "write ipv4 or ipv6 here");
  }

  Done state() {
    const Token which = take();
    if (!which.is("state"))
      return wrong(which, "of ct, only the state is supported; write ct state ...");
    auto values = this->values();
    if (!values) return std::unexpected(values.error());
    while (at(Token::Kind::comma)) {
      ++next_;
      values->all.push_back(take());
    }
    std::uint32_t states = 0;
    for (const Token& value : values->all) {
      const auto known = std::ranges::find(kStateNames, value.text, &Number::name);
      if (known == kStateNames.end())
        return wrong(value,
                     fmt::format("{} is not a state; write new, established, related, invalid "
                                 "or untracked",
                                 named(value)));
      states |= known->number;
    }
    return add(match_masked(Field::ct_state, u32(states), u32(0),
                            values->inverted ? Compare::equal : Compare::not_equal));
  }

  // ---- What a rule does.

  Done limit() {
    const Token rate = now();
    if (!take_if("rate")) return wrong(rate, "write limit rate 10/second");
    if (now().is("over")) {
      return wrong(now(),
                   "over is not supported; accept within the limit, and drop the rest "
                   "in the next rule");
    }
    const Token text = take();
    const std::size_t slash = std::min(text.text.find('/'), text.text.size());
    const auto count = whole_number(std::string_view(text.text).substr(0, slash));
    constexpr std::array<std::pair<std::string_view, Unit>, 5> kUnits{{{"second", Unit::second},
                                                                       {"minute", Unit::minute},
                                                                       {"hour", Unit::hour},
                                                                       {"day", Unit::day},
                                                                       {"week", Unit::week}}};
    const std::string_view name =
        std::string_view(text.text).substr(std::min(slash + 1, text.text.size()));
    const auto unit = std::ranges::find(kUnits, name, &std::pair<std::string_view, Unit>::first);
    if (!count || *count == 0 || unit == kUnits.end())
      return wrong(text, fmt::format("{} is not a rate; write e.g. 10/second", named(text)));
    RateLimit made{*count, unit->second, 5};  // nft's own default of a burst
    if (take_if("burst")) {
      const Token burst = take();
      const auto packets = whole_number(burst.text);
      if (!packets || *packets == 0)
        return wrong(burst, "write the number of packets here, e.g. burst 20 packets");
      made.burst = *packets;
      take_if("packets");
    }
    return add(made);
  }

  Done counter() {
    for (const char* word : {"packets", "bytes"}) {  // as nft lists it
      if (take_if(word)) ++next_;
    }
    if (now().is("name"))
      return wrong(now(), "named counters can only be used with nft; here, write: counter");
    return add(Count{});
  }

  Done log() {
    KernelLog log;
    std::optional<std::uint32_t> group;
    for (;;) {
      if (take_if("prefix")) {
        const Token prefix = take();
        if (prefix.kind != Token::Kind::text || prefix.text.size() > 127)
          return wrong(prefix, "write the prefix in quotes, at most 127 bytes");
        log.prefix = prefix.text;
      } else if (take_if("level")) {
        const Token level = take();
        const auto known = std::ranges::find(kLevels, level.text, &Number::name);
        if (known == kLevels.end())
          return wrong(level, "write a level: emerg, alert, crit, err, warn, notice, info, debug");
        log.level = known->number;
      } else if (take_if("group")) {
        const Token number = take();
        group = whole_number(number.text);
        if (!group || *group > 65'535) return wrong(number, "write a group from 0 to 65535");
      } else {
        break;
      }
    }
    if (group) return add(Log{static_cast<std::uint16_t>(*group), log.prefix});
    return add(std::move(log));
  }

  Done add(Expr expr) {
    rule_.exprs.push_back(std::move(expr));
    return {};
  }
  /// What must hold before the next can be asked, said once.
  void need(const Expr& expr) {
    if (std::ranges::find(rule_.exprs, expr) == rule_.exprs.end()) rule_.exprs.push_back(expr);
  }

  const fw::RuleFile& file_;
  std::vector<Token> tokens_;
  RulesOfFiles& out_;
  std::size_t next_ = 0;
  bool in_table_ = false;
  std::string chain_;  ///< that stands open
  Rule rule_;          ///< being read
  bool ended_ = false;
};

}  // namespace

std::string rules_chain(const std::string& admin_chain) { return admin_chain + ".rules"; }

RulesOfFiles read_rules(const std::vector<fw::RuleFile>& files) {
  RulesOfFiles out;
  for (const fw::RuleFile& file : files) Reading(file, out).all();
  return out;
}

}  // namespace chains
