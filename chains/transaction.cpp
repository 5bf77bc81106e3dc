// Transactions as nft text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/transaction.hpp"

#include <memory>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "chains/compile.hpp"

namespace chains {
namespace {

using Write = std::function<void(std::string_view)>;

constexpr std::size_t kElementsALine = 100;

/// Hands on each element as nft writes it.
class TextSink final : public ElementSink {
 public:
  TextSink(Field key, const std::function<void(const std::string&)>& element)
      : key_(key), element_(element) {}

  void put(fw::U128 first, fw::U128 last,
           std::optional<std::chrono::milliseconds> timeout) override {
    const auto family = key_ == Field::ip6_saddr ? fw::Family::ipv6 : fw::Family::ipv4;
    // An id prints as a number: it is no address.
    const std::string text = key_ == Field::ct_id
                                 ? fmt::to_string(static_cast<std::uint32_t>(first))
                                 : fw::to_string(fw::IpRange{family, first, last});
    element_(timeout ? text + " timeout " + duration_text(*timeout) : text);
  }

 private:
  Field key_;
  const std::function<void(const std::string&)>& element_;
};

/// "add element inet cloudron listed4 { 192.0.2.1, 192.0.2.7 }", in lines of bounded length.
class ElementLines {
 public:
  ElementLines(const char* verb, Table table, std::string_view set, const Write& write)
      : begin_(fmt::format("{} element {} {} {{ ", verb, name_of(table).substr(6), set)),
        write_(write) {}
  ~ElementLines() { close(); }
  ElementLines(const ElementLines&) = delete;
  ElementLines& operator=(const ElementLines&) = delete;

  void add(const std::string& element) {
    write_(count_ == 0 ? std::string_view(begin_) : std::string_view(", "));
    write_(element);
    if (++count_ == kElementsALine) close();
  }

 private:
  void close() {
    if (count_ != 0) write_(" }\n");
    count_ = 0;
  }

  std::string begin_;
  const Write& write_;
  std::size_t count_ = 0;
};

void write_elements(const char* verb, const Set& set, const Write& write) {
  ElementLines lines(verb, set.table, set.name, write);
  for (const Element& element : set.elements) lines.add(to_text(set, element));
}

class PlanText {
 public:
  explicit PlanText(const Write& write) : write_(write) {}

  void write(const Plan& plan) const {
    tables(plan);
    removals(plan);
    additions(plan);
  }

 private:
  /// "chain inet cloudron CLOUDRON"
  static std::string of(const char* kind, Table table, std::string_view name) {
    return fmt::format("{} {} {}", kind, name_of(table).substr(6), name);
  }
  void line(std::string_view text) const {
    write_(text);
    write_("\n");
  }

  void tables(const Plan& plan) const {
    // nft adds a table that is there without flags: a dormant one wakes.
    if (plan.make_table || plan.wake_table) line("add " + name_of(Table::inet));
    const std::string bridge = name_of(Table::bridge);
    if (plan.make_bridge) {
      for (const char* verb : {"add ", "delete ", "add "}) line(verb + bridge);
    } else if (plan.wake_table && plan.wants_bridge) {
      line("add " + bridge);
    }
  }

  void removals(const Plan& plan) const {
    for (const Named& chain : plan.clear_chains)
      line("flush " + of("chain", chain.table, chain.name));
    for (const ElementChange& change : plan.remove_elements)
      write_elements("delete", change.set, write_);
    for (const Named& set : plan.remove_sets) line("delete " + of("set", set.table, set.name));
    for (const Named& chain : plan.remove_chains)
      line("delete " + of("chain", chain.table, chain.name));
    for (const Object& object : plan.remove_objects) {
      line("delete " + of(object.limit ? "limit" : "counter", object.table, object.name));
    }
    if (plan.remove_bridge) line("delete " + name_of(Table::bridge));
  }

  /// "set s { type ipv4_addr; }" of a table.
  static std::string placed(Table table, const std::string& text) {
    const std::size_t kind = text.find(' ');
    return of(text.substr(0, kind).c_str(), table, std::string_view(text).substr(kind + 1));
  }

  void additions(const Plan& plan) const {
    for (const Object* object : plan.add_objects)
      line("add " + placed(object->table, to_text(*object)));
    for (const Chain& chain : plan.add_chains) {
      const std::string base = chain.base ? fmt::format(" {{ {} }}", to_text(*chain.base)) : "";
      line("add " + of("chain", chain.table, chain.name) + base);
    }
    for (const Set* set : plan.add_sets) {
      line("add " + placed(set->table, to_text(*set)));
      write_elements("add", *set, write_);
    }
    for (const ElementChange& change : plan.add_elements) write_elements("add", change.set, write_);
    for (const Chain* chain : plan.fill_chains) {
      for (const Rule& rule : chain->rules) {
        const std::string comment = rule.id.empty() ? "" : fmt::format(" comment \"{}\"", rule.id);
        line(fmt::format("add {} {}{}", of("rule", chain->table, chain->name), to_text(rule),
                         comment));
      }
    }
  }

  const Write& write_;
};

struct UpdateText {
  const Write& write;

  void operator()(const FlushSet& flush) const {
    write(fmt::format("flush set {} {}\n", name_of(Table::inet).substr(6), flush.set));
  }
  void operator()(const StreamElements& stream) const {
    const char* const verb = stream.what == StreamElements::Do::add ? "add" : "delete";
    ElementLines lines(verb, Table::inet, stream.set, write);
    const std::function<void(const std::string&)> add = [&lines](const std::string& element) {
      lines.add(element);
    };
    TextSink sink(stream.key, add);
    stream.each(sink);
  }
  void operator()(const AddElements& added) const { write_elements("add", added.set, write); }
};

}  // namespace

void write_nft(const Transaction& transaction, const Write& write) {
  PlanText(write).write(transaction.plan);
  for (const SetUpdate& update : transaction.updates) std::visit(UpdateText{write}, update);
}

std::string to_text(const Transaction& transaction) {
  std::string text;
  write_nft(transaction, [&text](std::string_view piece) { text += piece; });
  return text;
}

ManagedElements managed_elements(std::vector<SetUpdate> updates) {
  return [all = std::make_shared<const std::vector<SetUpdate>>(std::move(updates))](
             const Set& set, const std::function<void(const std::string&)>& element) {
    for (const SetUpdate& update : *all) {
      const auto* stream = std::get_if<StreamElements>(&update);
      if (stream == nullptr || stream->set != set.name) continue;
      if (stream->what != StreamElements::Do::add) continue;
      TextSink sink(stream->key, element);
      stream->each(sink);
    }
  };
}

}  // namespace chains
