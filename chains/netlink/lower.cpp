// Expressions into the kernel's form.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cassert>

#include <linux/netfilter/nf_tables.h>

#include "chains/netlink/expressions.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

/// Register of the 32-bit slot: slots 0, 4, 8, 12 have a 16-byte register's name too, and the
/// kernel reports them by it.
std::uint32_t register_of(std::uint32_t slot) {
  return slot % 4 == 0 ? NFT_REG_1 + slot / 4 : NFT_REG32_00 + slot;
}

class Lowering {
 public:
  explicit Lowering(nftnl_rule* rule) : rule_(rule) {}

  void operator()(const Match& e) {
    const std::uint32_t length = loaded_bytes(e.what, e.value);
    load(length < e.value.size() ? KeyPart{e.what.field, {}} : e.what, 0, length);
    nftnl_expr* cmp = add("cmp");
    nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, e.op == Compare::equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, e.value.data(), length);
  }

  void operator()(const Lookup& e) {
    load(e.key);
    nftnl_expr* lookup = add("lookup");
    nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, e.set.c_str());
    if (e.verdict) nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
    if (e.inverted) nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }

  void operator()(const DynSet& e) {
    load(e.key);
    nftnl_expr* dynset = add("dynset");
    nftnl_expr_set_u32(dynset, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
    nftnl_expr_set_str(dynset, NFTNL_EXPR_DYNSET_SET_NAME, e.set.c_str());
    nftnl_expr_set_u32(dynset, NFTNL_EXPR_DYNSET_OP,
                       e.op == DynOp::add      ? NFT_DYNSET_OP_ADD
                       : e.op == DynOp::update ? NFT_DYNSET_OP_UPDATE
                                               : NFT_DYNSET_OP_DELETE);
    struct Visitor {
      nftnl_expr* operator()(std::monostate) const { return nullptr; }
      nftnl_expr* operator()(const RateLimit& rate) const { return make_limit(rate); }
      nftnl_expr* operator()(const ConnLimit& most) const {
        nftnl_expr* const made = nftnl_expr_alloc("connlimit");
        nftnl_expr_set_u32(made, NFTNL_EXPR_CONNLIMIT_COUNT, most.count);
        nftnl_expr_set_u32(made, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
        return made;
      }
    };
    nftnl_expr* const state = std::visit(Visitor{}, e.state);
    if (state != nullptr) nftnl_expr_set(dynset, NFTNL_EXPR_DYNSET_EXPR, state, 0);
  }

  void operator()(const RateLimit& e) { nftnl_rule_add_expr(rule_, make_limit(e)); }

  void operator()(const ObjectRef& e) {
    nftnl_expr* objref = add("objref");
    nftnl_expr_set_u32(objref, NFTNL_EXPR_OBJREF_IMM_TYPE, static_cast<std::uint32_t>(e.kind));
    nftnl_expr_set_str(objref, NFTNL_EXPR_OBJREF_IMM_NAME, e.name.c_str());
  }

  void operator()(const ObjectMap& e) {
    load(e.key);
    nftnl_expr* objref = add("objref");
    nftnl_expr_set_u32(objref, NFTNL_EXPR_OBJREF_SET_SREG, NFT_REG_1);
    nftnl_expr_set_str(objref, NFTNL_EXPR_OBJREF_SET_NAME, e.map.c_str());
  }

  void operator()(const CtLabelSet& e) {
    nftnl_expr* immediate = add("immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
    nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, e.bits.data(),
                   static_cast<std::uint32_t>(e.bits.size()));
    nftnl_expr* ct = add("ct");
    nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, NFT_CT_LABELS);
    nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_SREG, NFT_REG_1);
  }

  void operator()(const Log& e) {
    nftnl_expr* const log = add("log");
    nftnl_expr_set_u16(log, NFTNL_EXPR_LOG_GROUP, e.group);
    nftnl_expr_set_str(log, NFTNL_EXPR_LOG_PREFIX, e.prefix.c_str());
  }

  void operator()(const StripTcpOption& e) {
    nftnl_expr* const exthdr = add("exthdr");
    nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
    nftnl_expr_set_u8(exthdr, NFTNL_EXPR_EXTHDR_TYPE, e.kind);
  }

  void operator()(const RejectTcpReset&) {
    nftnl_expr* reject = add("reject");
    nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
    nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, 0);
  }

  void operator()(const KernelLog& e) {
    nftnl_expr* const log = add("log");
    if (!e.prefix.empty()) nftnl_expr_set_str(log, NFTNL_EXPR_LOG_PREFIX, e.prefix.c_str());
    nftnl_expr_set_u32(log, NFTNL_EXPR_LOG_LEVEL, e.level);
  }

  void operator()(const Count&) { add("counter"); }

  void operator()(const Reject&) {
    nftnl_expr* const reject = add("reject");
    nftnl_expr_set_u32(reject, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
    nftnl_expr_set_u8(reject, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
  }

  void operator()(const Verdict& e) {
    nftnl_expr* immediate = add("immediate");
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(e.kind));
    if (!e.chain.empty()) nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, e.chain.c_str());
  }

  void operator()(const Foreign&) { assert(!"observed expressions are never compiled"); }

 private:
  nftnl_expr* add(const char* name) {
    nftnl_expr* expr = nftnl_expr_alloc(name);
    nftnl_rule_add_expr(rule_, expr);
    return expr;
  }

  static nftnl_expr* make_limit(const RateLimit& limit) {
    nftnl_expr* expr = nftnl_expr_alloc("limit");
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, limit.count);
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, static_cast<std::uint64_t>(limit.unit));
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, limit.burst);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
    return expr;
  }

  /// A network whose mask ends between two bytes needs no mask: its first bytes are loaded alone.
  static std::uint32_t loaded_bytes(const KeyPart& part, const Bytes& value) {
    const auto all = static_cast<std::uint32_t>(value.size());
    if (info(part.field).load != FieldInfo::Load::payload || part.mask.size() != all || all < 4) {
      return all;
    }
    const auto zero = std::find(part.mask.begin(), part.mask.end(), 0);
    const bool whole = std::all_of(part.mask.begin(), zero, [](auto b) { return b == 0xff; }) &&
                       std::all_of(zero, part.mask.end(), [](auto b) { return b == 0; });
    return whole ? static_cast<std::uint32_t>(zero - part.mask.begin()) : all;
  }

  void load(const Key& key) {
    std::uint32_t slot = 0;
    for (const KeyPart& part : key) {
      load(part, slot, info(part.field).length);
      slot += (info(part.field).length + 3) / 4;
    }
  }

  void load(const KeyPart& part, std::uint32_t slot, std::uint32_t length) {
    const FieldInfo& field = info(part.field);
    const std::uint32_t reg = register_of(slot);
    switch (field.load) {
      case FieldInfo::Load::meta: {
        nftnl_expr* meta = add("meta");
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, field.key);
        nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, reg);
        break;
      }
      case FieldInfo::Load::payload: {
        nftnl_expr* payload = add("payload");
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, reg);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, field.key);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, field.offset);
        nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, length);
        break;
      }
      case FieldInfo::Load::ct: {
        nftnl_expr* ct = add("ct");
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, field.key);
        nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, reg);
        if (field.original) nftnl_expr_set_u8(ct, NFTNL_EXPR_CT_DIR, 0);  // IP_CT_DIR_ORIGINAL
        break;
      }
      case FieldInfo::Load::fib: {
        nftnl_expr* fib = add("fib");
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, reg);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_OIF);
        nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, field.key);
        break;
      }
      case FieldInfo::Load::tcp_option: {
        nftnl_expr* exthdr = add("exthdr");
        nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_DREG, reg);
        nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
        nftnl_expr_set_u8(exthdr, NFTNL_EXPR_EXTHDR_TYPE, static_cast<std::uint8_t>(field.key));
        nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_OFFSET, 0);
        nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_LEN, field.length);
        nftnl_expr_set_u32(exthdr, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
        break;
      }
    }
    if (!part.mask.empty()) bitwise(reg, part.mask);
  }

  void bitwise(std::uint32_t reg, const Bytes& mask) {
    const Bytes flip(mask.size());
    nftnl_expr* expr = add("bitwise");
    const auto length = static_cast<std::uint32_t>(mask.size());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, reg);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask.data(), length);
    nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, flip.data(), length);
  }

  nftnl_rule* rule_;
};

}  // namespace

void lower(const std::vector<Expr>& exprs, nftnl_rule* rule) {
  Lowering lowering(rule);
  for (const Expr& expr : exprs) std::visit(lowering, expr);
}

}  // namespace chains
