// The kernel's form back into expressions.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <linux/netfilter/nf_tables.h>

#include "chains/netlink/expressions.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

Bytes bytes_of(const nftnl_expr* expr, std::uint16_t attribute) {
  std::uint32_t length = 0;
  const auto* data = static_cast<const std::uint8_t*>(nftnl_expr_get(expr, attribute, &length));
  return data == nullptr ? Bytes{} : Bytes(data, data + length);
}

/// The name of a set, an object or a chain, or a prefix; "" where an expression lacks it.
std::string name_of(const nftnl_expr* expr, std::uint16_t attribute) {
  const char* const name = nftnl_expr_get_str(expr, attribute);
  return name != nullptr ? name : "";
}

std::optional<Field> field_by(FieldInfo::Load load, std::uint32_t key, std::uint32_t offset,
                              std::uint32_t length, bool original, const Bytes& protocol) {
  std::optional<Field> found;
  for (int i = 0; i <= static_cast<int>(kLastField); ++i) {
    const FieldInfo& f = info(static_cast<Field>(i));
    if (f.load != load || f.key != key || f.original != original) continue;
    // The first bytes of an address are its network.
    const bool fits = f.length == length || (f.length >= 4 && length < f.length);
    if (load == FieldInfo::Load::payload && (f.offset != offset || !fits)) continue;
    if (load == FieldInfo::Load::payload && key == NFT_PAYLOAD_TRANSPORT_HEADER) {
      // The same bytes have a name for each protocol; the rule's own test says which is meant.
      if (f.field == Field::icmp_type && protocol != Bytes{1}) continue;
      if (f.field == Field::icmpv6_type && protocol != Bytes{58}) continue;
      if (f.field == Field::udp_dport && protocol != Bytes{17}) continue;
      if (f.field == Field::th_dport && found) continue;
    }
    found = f.field;
    if (f.field != Field::th_dport) break;
  }
  return found;
}

/// Names the expression that a reader reads.
template <class E>
using As = std::type_identity<E>;

class Raising {
 public:
  std::vector<Expr> out;

  void take(nftnl_expr* expr) {
    const std::string_view name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
    if (!loads(expr, name)) push_first(As<Expr>{}, expr, name);
  }

  /// Loads that nothing used are a stranger's work.
  void flush() {
    for (const KeyPart& part : key_)
      out.push_back(Foreign{std::string("load ") + info(part.field).text});
    key_.clear();
    if (!immediate_.empty()) out.push_back(Foreign{"a value that nothing used"});
    immediate_.clear();
  }

 private:
  static std::string text_of(nftnl_expr* expr) {
    char text[512];
    const int length = nftnl_expr_snprintf(text, sizeof text, expr, NFTNL_OUTPUT_DEFAULT, 0);
    const char* name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
    return length > 0 ? std::string(name) + " " + text : name;
  }

  /// What the first reader makes of it that knows it. Each alternative needs one below, so a new
  /// expression does not compile before it can be read back.
  template <class... E>
  void push_first(As<std::variant<E...>>, nftnl_expr* expr, std::string_view name) {
    const auto push = [this](auto found) {
      if (!found) return false;
      out.push_back(*std::move(found));
      return true;
    };
    static_assert(std::is_same_v<std::tuple_element_t<sizeof...(E) - 1, std::tuple<E...>>, Foreign>,
                  "it takes all that is left");
    (push(read(As<E>{}, expr, name)) || ...);
  }

  /// Does it only put something into a register, for a later one to use?
  bool loads(nftnl_expr* expr, std::string_view name) {
    if (name == "meta" || name == "payload" || name == "ct" || name == "fib")
      return load(expr, name);
    if (name == "exthdr") return load_tcp_option(expr);
    if (name == "bitwise") return mask(expr);
    return name == "immediate" && load_value(expr);
  }

  bool load(nftnl_expr* expr, std::string_view name) {
    std::optional<Field> field;
    if (name == "meta") {
      if (nftnl_expr_is_set(expr, NFTNL_EXPR_META_SREG)) return false;
      field = field_by(FieldInfo::Load::meta, nftnl_expr_get_u32(expr, NFTNL_EXPR_META_KEY), 0, 0,
                       false, protocol_);
    } else if (name == "payload") {
      field = field_by(FieldInfo::Load::payload, nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_BASE),
                       nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET),
                       nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_LEN), false, protocol_);
    } else if (name == "fib") {
      if (nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_RESULT) != NFT_FIB_RESULT_OIF) return false;
      field = field_by(FieldInfo::Load::fib, nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_FLAGS), 0, 0,
                       false, protocol_);
    } else {
      if (nftnl_expr_is_set(expr, NFTNL_EXPR_CT_SREG)) return false;
      field = field_by(FieldInfo::Load::ct, nftnl_expr_get_u32(expr, NFTNL_EXPR_CT_KEY), 0, 0,
                       nftnl_expr_is_set(expr, NFTNL_EXPR_CT_DIR) &&
                           nftnl_expr_get_u8(expr, NFTNL_EXPR_CT_DIR) == 0,
                       protocol_);
    }
    if (!field) return false;
    key_.push_back({*field, {}});
    if (name == "payload") {
      const std::uint32_t length = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_LEN);
      Bytes& mask = key_.back().mask;
      if (length < info(*field).length) {
        mask.assign(length, 0xff);
        mask.resize(info(*field).length);
      }
    }
    return true;
  }

  static bool is_tcp_option(const nftnl_expr* expr) {
    return nftnl_expr_get_u32(expr, NFTNL_EXPR_EXTHDR_OP) == NFT_EXTHDR_OP_TCPOPT &&
           !nftnl_expr_is_set(expr, NFTNL_EXPR_EXTHDR_SREG);
  }

  /// Whether there is one.
  bool load_tcp_option(const nftnl_expr* expr) {
    if (!is_tcp_option(expr) || !nftnl_expr_is_set(expr, NFTNL_EXPR_EXTHDR_DREG)) return false;
    if (nftnl_expr_get_u32(expr, NFTNL_EXPR_EXTHDR_FLAGS) != NFT_EXTHDR_F_PRESENT ||
        nftnl_expr_get_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET) != 0) {
      return false;
    }
    const auto field =
        field_by(FieldInfo::Load::tcp_option, nftnl_expr_get_u8(expr, NFTNL_EXPR_EXTHDR_TYPE), 0, 0,
                 false, protocol_);
    if (field) key_.push_back({*field, {}});
    return field.has_value();
  }

  bool mask(nftnl_expr* expr) {
    if (key_.empty() || nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_OP) != NFT_BITWISE_BOOL) {
      return false;
    }
    const Bytes flip = bytes_of(expr, NFTNL_EXPR_BITWISE_XOR);
    if (std::any_of(flip.begin(), flip.end(), [](auto byte) { return byte != 0; })) return false;
    key_.back().mask = bytes_of(expr, NFTNL_EXPR_BITWISE_MASK);
    return true;
  }

  bool load_value(const nftnl_expr* expr) {
    if (nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_DREG) == NFT_REG_VERDICT) return false;
    immediate_ = bytes_of(expr, NFTNL_EXPR_IMM_DATA);
    return !immediate_.empty();
  }

  Key take_key() {
    Key key = std::move(key_);
    key_.clear();
    return key;
  }

  std::optional<Match> read(As<Match>, nftnl_expr* expr, std::string_view name) {
    if (name != "cmp") return {};
    const std::uint32_t op = nftnl_expr_get_u32(expr, NFTNL_EXPR_CMP_OP);
    if (key_.size() != 1 || (op != NFT_CMP_EQ && op != NFT_CMP_NEQ)) return {};
    Match match{key_.front(), op == NFT_CMP_EQ ? Compare::equal : Compare::not_equal,
                bytes_of(expr, NFTNL_EXPR_CMP_DATA)};
    key_.clear();
    match.value.resize(std::max(match.value.size(), match.what.mask.size()));
    if (match.what.field == Field::l4proto && match.op == Compare::equal) protocol_ = match.value;
    return match;
  }

  std::optional<Lookup> read(As<Lookup>, nftnl_expr* expr, std::string_view name) {
    if (name != "lookup") return {};
    const bool mapped = nftnl_expr_is_set(expr, NFTNL_EXPR_LOOKUP_DREG);
    if (key_.empty() ||
        (mapped && nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_DREG) != NFT_REG_VERDICT)) {
      return {};
    }
    const bool inverted =
        (nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0;
    return Lookup{take_key(), name_of(expr, NFTNL_EXPR_LOOKUP_SET), inverted, mapped};
  }

  /// Nothing when it is of another kind: of bytes, or "over".
  static std::optional<RateLimit> limit_of(const nftnl_expr* expr) {
    if (nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_TYPE) != NFT_LIMIT_PKTS ||
        nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_FLAGS) != 0) {
      return {};
    }
    return RateLimit{nftnl_expr_get_u64(expr, NFTNL_EXPR_LIMIT_RATE),
                     static_cast<Unit>(nftnl_expr_get_u64(expr, NFTNL_EXPR_LIMIT_UNIT)),
                     nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_BURST)};
  }

  static std::optional<RateLimit> read(As<RateLimit>, nftnl_expr* expr, std::string_view name) {
    return name == "limit" ? limit_of(expr) : std::nullopt;
  }

  static std::optional<Log> read(As<Log>, nftnl_expr* expr, std::string_view name) {
    if (name != "log" || !nftnl_expr_is_set(expr, NFTNL_EXPR_LOG_GROUP)) return {};
    return Log{nftnl_expr_get_u16(expr, NFTNL_EXPR_LOG_GROUP),
               name_of(expr, NFTNL_EXPR_LOG_PREFIX)};
  }

  static std::optional<KernelLog> read(As<KernelLog>, nftnl_expr* expr, std::string_view name) {
    if (name != "log" || nftnl_expr_is_set(expr, NFTNL_EXPR_LOG_GROUP)) return {};
    return KernelLog{name_of(expr, NFTNL_EXPR_LOG_PREFIX),
                     nftnl_expr_get_u32(expr, NFTNL_EXPR_LOG_LEVEL)};
  }

  /// What a dynset's own elements carry; false when it is more than one thing, or not of ours.
  static bool take_state(nftnl_expr* inner, DynSet& dyn) {
    if (!std::holds_alternative<std::monostate>(dyn.state)) return false;
    const std::string_view name = nftnl_expr_get_str(inner, NFTNL_EXPR_NAME);
    if (name == "limit") {
      const auto limit = limit_of(inner);
      if (limit) dyn.state = *limit;
      return limit.has_value();
    }
    if (name != "connlimit" ||
        nftnl_expr_get_u32(inner, NFTNL_EXPR_CONNLIMIT_FLAGS) != NFT_CONNLIMIT_F_INV) {
      return false;
    }
    dyn.state = ConnLimit{nftnl_expr_get_u32(inner, NFTNL_EXPR_CONNLIMIT_COUNT)};
    return true;
  }

  std::optional<DynSet> read(As<DynSet>, nftnl_expr* expr, std::string_view name) {
    if (name != "dynset" || key_.empty() || nftnl_expr_is_set(expr, NFTNL_EXPR_DYNSET_SREG_DATA) ||
        nftnl_expr_get_u64(expr, NFTNL_EXPR_DYNSET_TIMEOUT) != 0) {
      return {};
    }
    const std::uint32_t op = nftnl_expr_get_u32(expr, NFTNL_EXPR_DYNSET_OP);
    if (op > NFT_DYNSET_OP_DELETE) return {};
    struct {
      DynSet dyn;
      bool known = true;
    } found;
    found.dyn.op = op == NFT_DYNSET_OP_ADD      ? DynOp::add
                   : op == NFT_DYNSET_OP_UPDATE ? DynOp::update
                                                : DynOp::remove;
    found.dyn.set = name_of(expr, NFTNL_EXPR_DYNSET_SET_NAME);
    nftnl_expr_expr_foreach(
        expr,
        [](nftnl_expr* inner, void* data) {
          auto& target = *static_cast<decltype(found)*>(data);
          target.known = target.known && take_state(inner, target.dyn);
          return 0;
        },
        &found);
    if (!found.known) return {};
    found.dyn.key = take_key();
    return std::move(found.dyn);
  }

  static std::optional<ObjectRef> read(As<ObjectRef>, nftnl_expr* expr, std::string_view name) {
    if (name != "objref" || nftnl_expr_is_set(expr, NFTNL_EXPR_OBJREF_SET_NAME)) return {};
    return ObjectRef{static_cast<ObjectKind>(nftnl_expr_get_u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE)),
                     name_of(expr, NFTNL_EXPR_OBJREF_IMM_NAME)};
  }

  std::optional<ObjectMap> read(As<ObjectMap>, nftnl_expr* expr, std::string_view name) {
    if (name != "objref" || !nftnl_expr_is_set(expr, NFTNL_EXPR_OBJREF_SET_NAME) || key_.empty())
      return {};
    return ObjectMap{ObjectKind::limit, take_key(), name_of(expr, NFTNL_EXPR_OBJREF_SET_NAME)};
  }

  std::optional<CtLabelSet> read(As<CtLabelSet>, nftnl_expr* expr, std::string_view name) {
    if (name != "ct" || !nftnl_expr_is_set(expr, NFTNL_EXPR_CT_SREG) ||
        nftnl_expr_get_u32(expr, NFTNL_EXPR_CT_KEY) != NFT_CT_LABELS || immediate_.empty()) {
      return {};
    }
    return CtLabelSet{std::exchange(immediate_, {})};
  }

  static std::optional<StripTcpOption> read(As<StripTcpOption>, nftnl_expr* expr,
                                            std::string_view name) {
    if (name != "exthdr" || !is_tcp_option(expr) ||
        nftnl_expr_is_set(expr, NFTNL_EXPR_EXTHDR_DREG)) {
      return {};
    }
    return StripTcpOption{nftnl_expr_get_u8(expr, NFTNL_EXPR_EXTHDR_TYPE)};
  }

  /// Between a load and its use nothing of ours counts.
  std::optional<Count> read(As<Count>, nftnl_expr*, std::string_view name) const {
    return name == "counter" && key_.empty() ? std::optional(Count{}) : std::nullopt;
  }

  static std::optional<Verdict> read(As<Verdict>, nftnl_expr* expr, std::string_view name) {
    if (name != "immediate" || nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_DREG) != NFT_REG_VERDICT) {
      return {};
    }
    Verdict verdict{static_cast<VerdictKind>(nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_VERDICT)), {}};
    if (nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_CHAIN))
      verdict.chain = name_of(expr, NFTNL_EXPR_IMM_CHAIN);
    return verdict;
  }

  static std::optional<RejectTcpReset> read(As<RejectTcpReset>, nftnl_expr* expr,
                                            std::string_view name) {
    if (name != "reject" ||
        nftnl_expr_get_u32(expr, NFTNL_EXPR_REJECT_TYPE) != NFT_REJECT_TCP_RST) {
      return {};
    }
    return RejectTcpReset{};
  }

  static std::optional<Reject> read(As<Reject>, nftnl_expr* expr, std::string_view name) {
    if (name != "reject" ||
        nftnl_expr_get_u32(expr, NFTNL_EXPR_REJECT_TYPE) != NFT_REJECT_ICMPX_UNREACH ||
        nftnl_expr_get_u8(expr, NFTNL_EXPR_REJECT_CODE) != NFT_REJECT_ICMPX_PORT_UNREACH) {
      return {};
    }
    return Reject{};
  }

  /// Whatever no other reader knows: the last alternative.
  std::optional<Foreign> read(As<Foreign>, nftnl_expr* expr, std::string_view) {
    flush();
    return Foreign{text_of(expr)};
  }

  Key key_;          // loaded, not used yet
  Bytes immediate_;  // a value in a register, not used yet
  Bytes protocol_;   // the l4proto that the rule has tested for
};

}  // namespace

std::vector<Expr> raise(const nftnl_rule* rule) {
  Raising raising;
  nftnl_expr_foreach(
      const_cast<nftnl_rule*>(rule),
      [](nftnl_expr* expr, void* data) {
        static_cast<Raising*>(data)->take(expr);
        return 0;
      },
      &raising);
  raising.flush();
  return std::move(raising.out);
}

}  // namespace chains
