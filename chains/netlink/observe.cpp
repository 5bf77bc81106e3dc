// Netlink messages of nf_tables into values.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/observe.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "chains/compile.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/netlink/expressions.hpp"
#include "chains/netlink/family.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

// Since Linux 6.16, and not yet in the headers of older systems: enum nft_set_attributes.
constexpr std::uint16_t kSetCount = 20;

// No chain of ours has it: one of another hook or type is recreated.
constexpr std::int32_t kForeignPriority = std::numeric_limits<std::int32_t>::min();

/// Of our table, and named, as everything is that the kernel tells of.
bool ours(const char* table, const char* name) {
  return table != nullptr && name != nullptr && std::strcmp(table, kTable) == 0;
}

Table table_of(const nlmsghdr* message) {
  return chains::table_of(
      static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family);
}

/// The kernel numbers the hooks of bridges as it does those of IP.
std::optional<Hook> hook_of(Table table, std::uint32_t number) {
  if (number == NF_INET_FORWARD) return Hook::forward;
  if (table == Table::bridge) {
    if (number == NF_INET_POST_ROUTING) return Hook::postrouting;
    return number == NF_INET_PRE_ROUTING ? std::optional(Hook::prerouting) : std::nullopt;
  }
  if (number == NF_INET_LOCAL_IN) return Hook::input;
  if (number == NF_INET_LOCAL_OUT) return Hook::output;
  return number == NF_INET_INGRESS ? std::optional(Hook::ingress) : std::nullopt;
}

bool is_admins(std::string_view name) { return name.starts_with(kAdminPrefix); }

/// The string of a userdata note; notes are type, length, value.
std::string note(const void* data, std::uint32_t length, std::uint8_t wanted) {
  const auto* at = static_cast<const std::uint8_t*>(data);
  const auto* const end = at + length;
  while (at != nullptr && end - at >= 2 && end - at >= 2 + at[1]) {
    if (at[0] == wanted && at[1] > 0) {
      const std::string_view text(reinterpret_cast<const char*>(at + 2), at[1]);
      return std::string(text.substr(0, text.find('\0')));
    }
    at += 2 + at[1];
  }
  return {};
}

/// "file:line:column" back into its parts.
fw::Location parse_location(const std::string& text) {
  fw::Location where{text, 0, 0};
  for (int* part : {&where.column, &where.line}) {
    const auto colon = where.file.rfind(':');
    int number = 0;
    if (colon == std::string::npos) break;
    const char* const last = where.file.data() + where.file.size();
    if (std::from_chars(where.file.data() + colon + 1, last, number).ptr != last) break;
    *part = number;
    where.file.resize(colon);
  }
  if (where.line == 0) std::swap(where.line, where.column);
  return where;
}

Field field_of_type(std::uint32_t type_id) {
  for (int i = 0; i <= static_cast<int>(kLastField); ++i) {
    if (info(static_cast<Field>(i)).type_id == type_id) return static_cast<Field>(i);
  }
  return Field::mark;
}

Content content_of(const Set& set) {
  if (set.dynamic) return Content::learned;
  if (set.name == kBlockVersions || !list_of_source_set(set.name).empty()) return Content::managed;
  for (const auto& names : {kListedSets, kAllowedSets, kBlockSets}) {
    if (std::any_of(names, names + 4, [&](const char* name) { return set.name == name; })) {
      return Content::managed;
    }
  }
  return Content::declared;
}

}  // namespace

std::optional<Chain> observe_chain(const nlmsghdr* message) {
  ChainHandle handle(nftnl_chain_alloc());
  nftnl_chain* c = handle.get();
  if (nftnl_chain_nlmsg_parse(message, c) < 0 ||
      !ours(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE), nftnl_chain_get_str(c, NFTNL_CHAIN_NAME))) {
    return {};
  }
  Chain chain{nftnl_chain_get_str(c, NFTNL_CHAIN_NAME), {}, {}, false, table_of(message)};
  if (is_admins(chain.name)) return {};
  if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM)) {
    BaseHook base;
    const auto hook = hook_of(chain.table, nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM));
    base.hook = hook.value_or(Hook::forward);
    base.priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
    const char* const type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
    const bool known = hook && type != nullptr && std::strcmp(type, "filter") == 0;
    if (!known) base.priority = kForeignPriority;
    base.policy = static_cast<VerdictKind>(nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY));
    if (const auto* devices = nftnl_chain_get_array(c, NFTNL_CHAIN_DEVICES)) {
      for (; *devices != nullptr; ++devices) base.devices.emplace_back(*devices);
    } else if (const char* device = nftnl_chain_get_str(c, NFTNL_CHAIN_DEV)) {
      base.devices.emplace_back(device);
    }
    std::sort(base.devices.begin(), base.devices.end());
    chain.base = std::move(base);
  }
  return chain;
}

std::optional<ObservedRule> observe_rule(const nlmsghdr* message) {
  RuleHandle handle(nftnl_rule_alloc());
  nftnl_rule* r = handle.get();
  if (nftnl_rule_nlmsg_parse(message, r) < 0 ||
      !ours(nftnl_rule_get_str(r, NFTNL_RULE_TABLE), nftnl_rule_get_str(r, NFTNL_RULE_CHAIN))) {
    return {};
  }
  ObservedRule out;
  out.chain = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);
  std::uint32_t length = 0;
  const void* data = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &length);
  out.rule.id = note(data, length, NFTNL_UDATA_RULE_COMMENT);
  out.rule.where = parse_location(note(data, length, kUdataLocation));
  out.rule.exprs = raise(r);
  return out;
}

std::optional<ObservedSet> observe_set(const nlmsghdr* message) {
  SetHandle handle(nftnl_set_alloc());
  nftnl_set* s = handle.get();
  if (nftnl_set_nlmsg_parse(message, s) < 0 ||
      !ours(nftnl_set_get_str(s, NFTNL_SET_TABLE), nftnl_set_get_str(s, NFTNL_SET_NAME))) {
    return {};
  }
  ObservedSet out;
  Set& set = out.set;
  set.name = nftnl_set_get_str(s, NFTNL_SET_NAME);
  set.table = table_of(message);
  if (is_admins(set.name)) return {};
  for (std::uint32_t type = nftnl_set_get_u32(s, NFTNL_SET_KEY_TYPE); type != 0; type >>= 6) {
    set.key.insert(set.key.begin(), field_of_type(type & 0x3f));
  }
  const std::uint32_t flags = nftnl_set_get_u32(s, NFTNL_SET_FLAGS);
  set.interval = (flags & NFT_SET_INTERVAL) != 0;
  set.timeout = (flags & NFT_SET_TIMEOUT) != 0;
  set.dynamic = (flags & NFT_SET_EVAL) != 0;
  if ((flags & NFT_SET_MAP) != 0) set.data = Verdict{};
  if ((flags & NFT_SET_OBJECT) != 0) {
    set.data = static_cast<ObjectKind>(nftnl_set_get_u32(s, NFTNL_SET_OBJ_TYPE));
  }
  set.counter = nftnl_set_is_set(s, NFTNL_SET_EXPR) || nftnl_set_is_set(s, NFTNL_SET_EXPRESSIONS);
  set.size = nftnl_set_get_u32(s, NFTNL_SET_DESC_SIZE);
  set.timeout_default = std::chrono::milliseconds(nftnl_set_get_u64(s, NFTNL_SET_TIMEOUT));
  set.gc_interval = std::chrono::milliseconds(nftnl_set_get_u32(s, NFTNL_SET_GC_INTERVAL));
  std::uint32_t length = 0;
  const void* data = nftnl_set_get_data(s, NFTNL_SET_USERDATA, &length);
  set.comment = note(data, length, NFTNL_UDATA_SET_COMMENT);
  set.content = content_of(set);
  for_each_attribute(message, sizeof(nfgenmsg), [&out](const nlattr* a) {
    if (mnl_attr_get_type(a) == kSetCount) out.fill = ntohl(mnl_attr_get_u32(a));
  });
  return out;
}

std::optional<ObservedObject> observe_object(const nlmsghdr* message) {
  ObjectHandle handle(nftnl_obj_alloc());
  nftnl_obj* o = handle.get();
  if (nftnl_obj_nlmsg_parse(message, o) < 0 ||
      !ours(nftnl_obj_get_str(o, NFTNL_OBJ_TABLE), nftnl_obj_get_str(o, NFTNL_OBJ_NAME))) {
    return {};
  }
  ObservedObject out;
  out.object.name = nftnl_obj_get_str(o, NFTNL_OBJ_NAME);
  out.object.table = table_of(message);
  if (is_admins(out.object.name)) return {};
  const std::uint32_t kind = nftnl_obj_get_u32(o, NFTNL_OBJ_TYPE);
  if (kind != NFT_OBJECT_COUNTER && kind != NFT_OBJECT_LIMIT) return {};  // nothing that ours use
  std::uint32_t length = 0;
  const void* data = nftnl_obj_get_data(o, NFTNL_OBJ_USERDATA, &length);
  out.object.comment = note(data, length, NFTNL_UDATA_OBJ_COMMENT);
  switch (static_cast<ObjectKind>(kind)) {
    case ObjectKind::counter:
      out.count = {nftnl_obj_get_u64(o, NFTNL_OBJ_CTR_PKTS),
                   nftnl_obj_get_u64(o, NFTNL_OBJ_CTR_BYTES)};
      break;
    case ObjectKind::limit:
      out.object.limit = RateLimit{nftnl_obj_get_u64(o, NFTNL_OBJ_LIMIT_RATE),
                                   static_cast<Unit>(nftnl_obj_get_u64(o, NFTNL_OBJ_LIMIT_UNIT)),
                                   nftnl_obj_get_u32(o, NFTNL_OBJ_LIMIT_BURST)};
      if (nftnl_obj_get_u32(o, NFTNL_OBJ_LIMIT_TYPE) != NFT_LIMIT_PKTS ||
          nftnl_obj_get_u32(o, NFTNL_OBJ_LIMIT_FLAGS) != 0) {
        out.object.comment += " (of bytes, or over)";  // none of ours: it is recreated
      }
      break;
  }
  return out;
}

namespace {

RawElement observe_element(nftnl_set_elem* e) {
  RawElement out;
  auto bytes = [e](std::uint16_t attribute) {
    std::uint32_t length = 0;
    const auto* data = static_cast<const std::uint8_t*>(nftnl_set_elem_get(e, attribute, &length));
    return data == nullptr ? Bytes{} : Bytes(data, data + length);
  };
  out.element.key = bytes(NFTNL_SET_ELEM_KEY);
  if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_EXPIRATION)) {
    out.left = std::chrono::milliseconds(nftnl_set_elem_get_u64(e, NFTNL_SET_ELEM_EXPIRATION));
  }
  out.interval_end =
      nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS) &&
      (nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0;
  if (const char* const object = nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_OBJREF)) {
    out.element.data = std::string(object);
  } else if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_VERDICT)) {
    Verdict verdict{static_cast<VerdictKind>(nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_VERDICT)),
                    {}};
    if (const char* const chain = nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_CHAIN)) {
      verdict.chain = chain;
    }
    out.element.data = std::move(verdict);
  }
  const Bytes userdata = bytes(NFTNL_SET_ELEM_USERDATA);
  out.element.comment = note(userdata.data(), static_cast<std::uint32_t>(userdata.size()),
                             NFTNL_UDATA_SET_ELEM_COMMENT);
  nftnl_set_elem_expr_foreach(
      e,
      [](nftnl_expr* expr, void* data) {
        if (std::strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter") == 0) {
          *static_cast<Counted*>(data) = {nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS),
                                          nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_BYTES)};
        }
        return 0;
      },
      &out.count);
  return out;
}

}  // namespace

std::vector<RawElement> observe_elements(const nlmsghdr* message) {
  std::vector<RawElement> out;
  SetHandle handle(nftnl_set_alloc());
  if (nftnl_set_elems_nlmsg_parse(message, handle.get()) < 0) return out;
  nftnl_set_elem_foreach(
      handle.get(),
      [](nftnl_set_elem* e, void* data) {
        static_cast<std::vector<RawElement>*>(data)->push_back(observe_element(e));
        return 0;
      },
      &out);
  return out;
}

void fill_elements(Set& set, std::vector<Counted>& counts, std::vector<RawElement> raw) {
  std::sort(raw.begin(), raw.end(), [](const RawElement& a, const RawElement& b) {
    if (a.element.key != b.element.key) return a.element.key < b.element.key;
    return a.interval_end && !b.interval_end;
  });
  for (RawElement& item : raw) {
    if (!item.interval_end) {
      if (set.interval) item.element.key_last = Bytes(item.element.key.size(), 0xff);
      set.elements.push_back(std::move(item.element));
      counts.push_back(item.count);
      continue;
    }
    if (set.elements.empty()) continue;
    Bytes last = item.element.key;  // the first key after the interval
    for (std::size_t i = last.size(); i-- > 0;) {
      if (last[i]-- != 0) break;
    }
    set.elements.back().key_last = std::move(last);
  }
}

}  // namespace chains
