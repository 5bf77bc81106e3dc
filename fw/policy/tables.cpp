// The tables of a policy: which keys each has, what reads them, and where in a Policy it goes.
#include "fw/policy/tables.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/policy/toml.hpp"
#include "fw/policy/values.hpp"
#include "fw/policy/vocabulary.hpp"

namespace fw {
namespace {

/// One key of a table: what reads it and, if it must be there, an example of it.
struct Key {
  std::string_view name;
  std::function<void(const toml::node&)> read;
  std::string_view required = {};
};

enum class Missing { report, accept };

class PolicyReader {
 public:
  explicit PolicyReader(const std::string& file) : values_(file) { policy_.file = file; }

  Parsed read(const toml::table& root);

 private:
  using ReadTable = void (PolicyReader::*)(const toml::table&);
  void visit_root(const toml::key& key, const toml::node& node);
  void visit_tables(const toml::node& node, const TableForm& form, ReadTable read_table);
  void visit(const toml::table& table, std::string_view header, std::initializer_list<Key> keys,
             Missing missing = Missing::report);

  void read_ports(const toml::table& table);
  void read_mail(const toml::table& table);
  void read_guests(const toml::table& table);
  void read_trusted(const toml::table& table);
  void read_apps(const toml::table& table);
  void read_activity(const toml::table& table);
  void read_metrics(const toml::table& table);
  void read_advanced(const toml::table& table);
  void read_open(const toml::table& table);
  void read_limit(const toml::table& table);
  void read_list(const toml::table& table);
  void read_app(const toml::table& table);
  void read_addon(const toml::table& table);
  void read_offender(const toml::table& table);
  void check_limit_keys(const toml::table& table, Limit& limit);
  void add_limit(Limit limit);
  void drop_limit(Limit limit, bool defined);
  void report_placeless();
  void decide_actions();
  Policy undoubted() const;

  ValueReader values_;
  Policy policy_ = default_policy();
  const std::vector<Limit> default_limits_ = policy_.limits;
  std::vector<Limit> disabled_limits_;
  struct Placeless {
    std::string_view header;
    std::string_view example;
    Location where;
  };
  std::set<std::string> actionless_;  // lists that leave it to how they are used
  std::vector<Placeless> placeless_;  // apps and addons that name no address
  bool ports_doubtful_ = false;       // something in [ports] or [mail] could not be read
  bool networks_doubtful_ = false;    // something in [apps] could not be read
};

// ---- Tables and keys.

void PolicyReader::visit(const toml::table& table, std::string_view header,
                         std::initializer_list<Key> keys, Missing missing) {
  for (const auto& [key, node] : table) {
    const auto known = std::ranges::find(keys, key.str(), &Key::name);
    if (known != keys.end()) {
      known->read(node);
      continue;
    }
    std::vector<std::string_view> names;
    for (const Key& each : keys) names.push_back(each.name);
    values_.error(values_.where(key), unknown_key(key.str(), header, names));
  }
  if (missing == Missing::accept) return;
  for (const Key& key : keys) {
    if (!key.required.empty() && !table.contains(key.name))
      values_.error(table, fmt::format("{} lacks {}; add e.g. {}", header, key.name, key.required));
  }
}

void PolicyReader::visit_root(const toml::key& key, const toml::node& node) {
  // In the order of kTables.
  static constexpr std::array<ReadTable, kTables.size()> kReaders{
      &PolicyReader::read_ports,   &PolicyReader::read_mail,     &PolicyReader::read_open,
      &PolicyReader::read_guests,  &PolicyReader::read_trusted,  &PolicyReader::read_apps,
      &PolicyReader::read_limit,   &PolicyReader::read_list,     &PolicyReader::read_app,
      &PolicyReader::read_addon,   &PolicyReader::read_offender, &PolicyReader::read_activity,
      &PolicyReader::read_metrics, &PolicyReader::read_advanced};
  const auto form = std::ranges::find(kTables, key.str(), &TableForm::name);
  if (form == kTables.end()) {
    const bool is_table = node.is_table() || node.is_array_of_tables();
    return values_.error(values_.where(key), unknown_table(key.str(), is_table));
  }
  const ReadTable read_table = kReaders.at(static_cast<std::size_t>(form - kTables.begin()));

  const std::size_t before = values_.problem_count();
  if (form->repeats) {
    visit_tables(node, *form, read_table);
  } else if (const toml::table* table = node.as_table()) {
    (this->*read_table)(*table);
  } else {
    values_.error(node, fmt::format("{} can be there only once, as a table: write {}", form->name,
                                    form->header()));
  }
  if (values_.problem_count() == before) return;
  if (form->name == "ports" || form->name == "mail") ports_doubtful_ = true;
  if (form->name == "apps") networks_doubtful_ = true;
}

void PolicyReader::visit_tables(const toml::node& node, const TableForm& form,
                                ReadTable read_table) {
  const toml::array* tables = node.as_array();
  if (tables == nullptr) {
    return values_.error(node, fmt::format("there can be several of {}: write {} with two brackets "
                                           "on each side",
                                           form.name, form.header()));
  }
  const std::size_t tables_max = form.name == "limit"      ? kLimitsMax
                                 : form.name == "list"     ? kListsMax
                                 : form.name == "open"     ? kOpeningsMax
                                 : form.name == "offender" ? kOffendersMax
                                                           : kAppsMax;
  for (std::size_t i = 0; i < tables->size(); ++i) {
    const toml::node& each = (*tables)[i];
    if (i == tables_max) {
      return values_.error(each, fmt::format("there are at most {} {} tables; leave out the rest",
                                             tables_max, form.header()));
    }
    if (const toml::table* table = each.as_table())
      (this->*read_table)(*table);
    else
      values_.error(each, fmt::format("each {} must be a table: write {}, not {}", form.name,
                                      form.header(), type_name(each)));
  }
}

// ---- The tables that are there once.

void PolicyReader::read_ports(const toml::table& table) {
  std::vector<Located<PortRange>> udp;
  visit(table, "[ports]",
        {{"tcp",
          [&](const toml::node& node) {
            policy_.ports_where = values_.where(node);
            policy_.open_ports = values_.ports(node, "tcp", Protocol::tcp);
          }},
         {"udp", [&](const toml::node& node) { udp = values_.ports(node, "udp", Protocol::udp); }},
         {"discovery", [&](const toml::node& node) {
            policy_.local_discovery = values_.boolean(node, "discovery").value_or(false);
          }}});
  policy_.open_ports.insert(policy_.open_ports.end(), udp.begin(), udp.end());
}

void PolicyReader::read_mail(const toml::table& table) {
  visit(table, "[mail]", {{"enabled", [&](const toml::node& node) {
                             policy_.mail_enabled =
                                 values_.boolean(node, "enabled").value_or(false);
                             policy_.mail_where = values_.where(node);
                           }}});
}

void PolicyReader::read_guests(const toml::table& table) {
  policy_.guests_where = values_.where(table);
  visit(table, "[guests]", {{"bridges", [&](const toml::node& node) {
                               policy_.guests = values_.interfaces(node, "bridges", "virbr0");
                             }}});
}

void PolicyReader::read_trusted(const toml::table& table) {
  visit(table, "[trusted]", {{"networks", [&](const toml::node& node) {
                                policy_.trusted = values_.networks(node, "networks");
                              }}});
}

void PolicyReader::read_apps(const toml::table& table) {
  static constexpr std::array<std::pair<std::string_view, Discover>, 2> kSources{
      {{"none", Discover::none}, {"docker", Discover::docker}}};
  Discovery& discovery = policy_.discovery;
  visit(
      table, "[apps]",
      {{"network",
        [&](const toml::node& node) { policy_.app_networks = values_.networks(node, "network"); }},
       {"discover",
        [&](const toml::node& node) {
          values_.choose(node, "discover", kSources, discovery.from);
        }},
       {"docker",
        [&](const toml::node& node) { discovery.docker = values_.socket(node, "docker"); }},
       {"routed",
        [&](const toml::node& node) { policy_.routed = values_.devices(node, "routed"); }},
       {"labels_open", [&](const toml::node& node) {
          discovery.labels_open = values_.boolean(node, "labels_open").value_or(false);
        }}});
}

void PolicyReader::read_activity(const toml::table& table) {
  ActivityKeep& activity = policy_.activity;
  visit(table, "[activity]",
        {{"keep",
          [&](const toml::node& node) {
            activity.keep = values_.duration(node, "keep").value_or(activity.keep);
          }},
         {"size", [&](const toml::node& node) {
            activity.bytes = values_.size(node, "size", kActivityBytesMin, kActivityBytesMax)
                                 .value_or(activity.bytes);
          }}});
}

void PolicyReader::read_metrics(const toml::table& table) {
  visit(table, "[metrics]", {{"listen", [&](const toml::node& node) {
                                policy_.metrics = values_.loopback(node, "listen");
                              }}});
}

void PolicyReader::read_advanced(const toml::table& table) {
  visit(table, "[advanced]",
        {{"ct_label_bit", values_.number(policy_.label_bit, "ct_label_bit", 0, 128 - kLabelBits)},
         {"nflog_group", values_.number(policy_.nflog_group, "nflog_group", 0, 65'535)},
         {"translated",
          [&](const toml::node& node) { policy_.translated = values_.translated(node); }}});
}

// ---- The tables that repeat.

void PolicyReader::read_open(const toml::table& table) {
  using Node = const toml::node&;
  Opening opening;
  opening.where = values_.where(table);
  const std::size_t before = values_.problem_count();
  visit(table, "[[open]]",
        {{"ports",
          [&](Node node) { opening.ports = values_.plain_ports(node, "ports", kOpeningPortsMax); }},
         {"protocols", [&](Node node) { opening.protocols = values_.protocols(node); }},
         {"from", [&](Node node) { values_.sources(node, opening.from, opening.lists); }},
         {"interfaces",
          [&](Node node) { opening.interfaces = values_.interfaces(node, "interfaces", "wg0"); }}});
  if (values_.problem_count() != before) {
    ports_doubtful_ = true;
    return;
  }
  if (opening.ports.empty() && opening.protocols.empty()) {
    values_.error(opening.where,
                  "[[open]] opens nothing; add e.g. ports = [9100] or protocols = [\"vrrp\"]");
  }
  if (!opening.ports.empty() && opening.for_all_sources() && opening.interfaces.empty()) {
    values_.error(opening.where,
                  "[[open]] does not say for whom; add e.g. from = [\"192.0.2.0/24\"] or "
                  "interfaces = [\"wg0\"], or open the ports to everybody in [ports]");
  }
  policy_.openings.push_back(std::move(opening));
}

void PolicyReader::read_limit(const toml::table& table) {
  using Node = const toml::node&;
  constexpr std::array<std::pair<std::string_view, Source>, 2> kSources{
      {{"outside", Source::outside}, {"apps", Source::apps}}};
  constexpr std::array<std::pair<std::string_view, LimitKey>, 2> kKeys{
      {{"ip", LimitKey::ip}, {"app", LimitKey::app}}};
  Limit limit;
  limit.where = values_.where(table);
  const auto* switched = table.get_as<bool>("enabled");
  const bool enabled = switched == nullptr || switched->get();
  const bool whole = enabled && (switched != nullptr || !table.contains("enabled"));
  const auto* named = table.get_as<std::string>("name");
  const bool pings = named != nullptr && named->get() == kPingLimit;
  std::uint32_t concurrent = 0;
  visit(table, "[[limit]]",
        {{"name", [&](Node node) { limit.name = values_.name(node); }, "name = \"my-limit\""},
         {"ports", [&](Node node) { limit.ports = values_.some_ports(node); },
          pings ? "" : "ports = [22, 202]"},
         {"from", [&](Node node) { values_.choose(node, "from", kSources, limit.from); }},
         {"per", [&](Node node) { values_.choose(node, "per", kKeys, limit.per); }},
         {"rate", [&](Node node) { limit.rate = values_.rate(node); }, "rate = \"5/10s\""},
         {"burst", values_.number(limit.burst, "burst", 1, kRateCountMax * 10)},
         {"concurrent", values_.number(concurrent, "concurrent", 1, kRateCountMax)},
         {"prefix4", values_.number(limit.prefix4, "prefix4", 1, 32)},
         {"prefix6", values_.number(limit.prefix6, "prefix6", 1, 128)},
         {"enabled", [&](Node node) { values_.boolean(node, "enabled"); }}},
        whole ? Missing::report : Missing::accept);
  if (!whole && !table.contains("name"))
    values_.error(limit.where, "[[limit]] lacks name; add the name of the limit to switch off");
  if (concurrent != 0) limit.concurrent = concurrent;
  check_limit_keys(table, limit);
  if (limit.name.empty()) return;
  if (enabled)
    add_limit(std::move(limit));
  else
    drop_limit(std::move(limit), table.contains("ports") || table.contains("rate"));
}

/// Keys of a limit that exclude each other; fills in the default burst.
void PolicyReader::check_limit_keys(const toml::table& table, Limit& limit) {
  const auto at = [&](std::string_view key) { return values_.where(*table.get(key)); };
  if (limit.per == LimitKey::app) {
    const auto* from = table.get_as<std::string>("from");
    if (limit.from != Source::apps && (!table.contains("from") || (from && **from == "outside")))
      values_.error(at("per"),
                    "per = \"app\" needs from = \"apps\": clients outside belong to no app");
    for (const char* key : {"prefix4", "prefix6"}) {
      if (table.contains(key))
        values_.error(at(key),
                      fmt::format("{} means nothing with per = \"app\": all addresses of an app "
                                  "share one budget; remove it",
                                  key));
    }
  }
  if (limit.counts_pings()) {
    for (const char* key : {"ports", "from", "per", "concurrent"}) {
      if (table.contains(key))
        values_.error(at(key), fmt::format("{} means nothing in limit \"ping\", which counts the "
                                           "echo requests of each client; remove it, or rename "
                                           "the limit",
                                           key));
    }
    limit.ports.clear();
  }
  const bool window = limit.rate.count >= 1 && limit.rate.count <= kWindowCountMax;
  if (window && table.contains("burst")) {
    values_.error(at("burst"),
                  fmt::format("burst means nothing with rate \"{}\": a count up to {} is an "
                              "exact window, and windows have no burst; remove it",
                              to_string(limit.rate), kWindowCountMax));
  }
  if (limit.burst == 0 || window) limit.burst = limit.rate.count;
}

void PolicyReader::add_limit(Limit limit) {
  if (const auto off = std::ranges::find(disabled_limits_, limit.name, &Limit::name);
      off != disabled_limits_.end()) {
    values_.error(limit.where,
                  fmt::format("limit {} is switched off at line {}; remove one of the two",
                              quote(limit.name), off->where.line));
  }
  const auto namesake = std::ranges::find(policy_.limits, limit.name, &Limit::name);
  if (namesake != policy_.limits.end() && namesake->where == Location{})
    *namesake = std::move(limit);
  else
    policy_.limits.push_back(std::move(limit));
  if (policy_.limits.size() == kLimitsMax + 1) {
    values_.error(
        policy_.limits.back().where,
        fmt::format("there are at most {} limits, the defaults included; leave out the rest",
                    kLimitsMax));
  }
}

void PolicyReader::drop_limit(Limit limit, bool defined) {
  std::vector<std::string_view> defaults;
  for (const Limit& each : default_limits_) defaults.push_back(each.name);
  if (!defined && std::ranges::find(defaults, limit.name) == defaults.end()) {
    const std::string_view guess = nearest(limit.name, defaults);
    values_.error(limit.where,
                  fmt::format("there is no default limit {} to switch off; {}", quote(limit.name),
                              guess.empty() ? fmt::format("they are {}", fmt::join(defaults, ", "))
                                            : fmt::format("did you mean {}?", quote(guess))));
  }
  for (const auto* limits : {&policy_.limits, &disabled_limits_}) {
    const auto other = std::ranges::find(*limits, limit.name, &Limit::name);
    if (other == limits->end() || other->where == Location{}) continue;
    values_.error(limit.where, fmt::format("limit {} is at line {} already; remove one of the two",
                                           quote(limit.name), other->where.line));
  }
  std::erase_if(policy_.limits, [&limit](const Limit& each) {
    return each.name == limit.name && each.where == Location{};
  });
  disabled_limits_.push_back(std::move(limit));
}

void PolicyReader::read_list(const toml::table& table) {
  constexpr std::array<std::pair<std::string_view, ListAction>, 3> kActions{
      {{"block", ListAction::block}, {"allow", ListAction::allow}, {"open", ListAction::open}}};
  List list;
  list.where = values_.where(table);
  visit(table, "[[list]]",
        {{"name", [&](const toml::node& node) { list.name = values_.name(node); },
          "name = \"known-bad\""},
         {"file", [&](const toml::node& node) { list.file = values_.file_name(node); },
          "file = \"/etc/cloudron-fw/known-bad.txt\""},
         {"action",
          [&](const toml::node& node) { values_.choose(node, "action", kActions, list.action); }}});
  if (!table.contains("action")) actionless_.insert(list.name);
  policy_.lists.push_back(std::move(list));
}

void PolicyReader::read_app(const toml::table& table) {
  using Node = const toml::node&;
  App app;
  app.where = values_.where(table);
  visit(table, "[[app]]",
        {{"name", [&](Node node) { app.name = values_.name(node); }, "name = \"wiki\""},
         {"addresses", [&](Node node) { app.addresses = values_.addresses(node); }},
         {"publishes", [&](Node node) { app.publishes = values_.plain_ports(node, "publishes"); }},
         {"addons", [&](Node node) { app.addons = values_.addon_names(node); }}});
  if (!table.contains("addresses")) placeless_.push_back({"[[app]]", "172.18.16.2", app.where});
  policy_.apps.push_back(std::move(app));
}

void PolicyReader::read_addon(const toml::table& table) {
  using Node = const toml::node&;
  Addon addon;
  addon.where = values_.where(table);
  visit(table, "[[addon]]",
        {{"name", [&](Node node) { addon.name = values_.name(node); }, "name = \"mysql\""},
         {"addresses", [&](Node node) { addon.addresses = values_.addresses(node); }},
         {"ports", [&](Node node) { addon.ports = values_.some_ports(node); }, "ports = [3306]"}});
  if (!table.contains("addresses")) placeless_.push_back({"[[addon]]", "172.18.0.10", addon.where});
  policy_.addons.push_back(std::move(addon));
}

void PolicyReader::read_offender(const toml::table& table) {
  using Node = const toml::node&;
  Offender offender;
  offender.where = values_.where(table);
  visit(table, "[[offender]]",
        {{"after", [&](Node node) { offender.refused = values_.refusals(node); }},
         {"closed_ports", [&](Node node) { offender.closed_ports = values_.rate(node); }},
         {"limits", [&](Node node) { offender.limits = values_.limit_names(node); }},
         {"block",
          [&](Node node) {
            offender.block = values_.duration(node, "block").value_or(offender.block);
          }},
         {"max", [&](Node node) {
            offender.max = values_.duration(node, "max").value_or(offender.max);
          }}});
  if (!table.contains("after") && !table.contains("closed_ports")) {
    values_.error(offender.where, "[[offender]] lacks after; add e.g. after = \"20 refused/10m\"");
  }
  if (!offender.refused && !offender.limits.empty()) {
    values_.error(offender.where, "limits means nothing without after; add it, or remove limits");
  }
  for (const auto& rate : {offender.refused, offender.closed_ports}) {
    if (!rate || rate->count <= kOffenderCountMax) continue;
    values_.error(offender.where, fmt::format("an offender is known by {} events at most, not {}",
                                              kOffenderCountMax, rate->count));
  }
  if (offender.max < offender.block) {
    values_.error(offender.where, fmt::format("max = \"{}\" is less than block = \"{}\"",
                                              to_string(offender.max), to_string(offender.block)));
  }
  policy_.offenders.push_back(std::move(offender));
}

// ---- The whole.

/// The policy with what could not be read taken at its widest, so that check() reports nothing on
/// its account.
Policy PolicyReader::undoubted() const {
  Policy policy = policy_;
  if (ports_doubtful_) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
      policy.open_ports.push_back({{protocol, 1, 65'535}, {}});
  }
  if (networks_doubtful_) {
    for (App& app : policy.apps) app.addresses.clear();
    for (Addon& addon : policy.addons) addon.addresses.clear();
  }
  return policy;
}

/// An app without addresses is only that of a container that is yet to be discovered.
void PolicyReader::report_placeless() {
  if (policy_.discovery.from != Discover::none || networks_doubtful_) return;
  for (const auto& [header, example, where] : placeless_) {
    values_.error(where,
                  fmt::format("{} lacks addresses; add e.g. addresses = [\"{}\"], or have it "
                              "found by [apps] discover = \"docker\"",
                              header, example));
  }
}

/// Whoever names a list as sources of an [[open]] does not mean to block them.
void PolicyReader::decide_actions() {
  const std::vector<std::string> named = source_lists(policy_);
  for (List& list : policy_.lists) {
    if (actionless_.contains(list.name) && std::ranges::binary_search(named, list.name))
      list.action = ListAction::open;
  }
}

Parsed PolicyReader::read(const toml::table& root) {
  for (const auto& [key, node] : root) visit_root(key, node);
  report_placeless();
  decide_actions();
  for (Problem& problem : check(undoubted()))
    values_.report(problem.severity, std::move(problem.where), std::move(problem.what));
  return {std::move(policy_), values_.take_problems()};
}

}  // namespace

std::expected<Parsed, Problem> read_tables(std::string_view text, const std::string& file) {
  const auto root = parse_toml(text, file);
  if (!root) return std::unexpected(root.error());
  return PolicyReader(file).read(*root);
}

}  // namespace fw
