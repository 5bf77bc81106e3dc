// Encodes plans and element streams as the messages of a batch.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/encode.hpp"

#include <cassert>
#include <cstring>

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "chains/compile.hpp"
#include "chains/netlink/expressions.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

constexpr std::uint32_t kDynamicSizeDefault = 0xffff;
constexpr std::size_t kNestMax = 65'000;  // an attribute's length has 16 bits

std::uint32_t hook_number(Hook hook) {
  switch (hook) {
    case Hook::ingress:
      return NF_INET_INGRESS;
    case Hook::prerouting:
      return NF_INET_PRE_ROUTING;  // bridges number the hooks that we use alike
    case Hook::input:
      return NF_INET_LOCAL_IN;
    case Hook::forward:
      return NF_INET_FORWARD;
    case Hook::postrouting:
      return NF_INET_POST_ROUTING;
    case Hook::output:
      return NF_INET_LOCAL_OUT;
  }
  return 0;
}

void chain_message(const Chain& chain, std::uint16_t type, Batch& batch) {
  ChainHandle handle(nftnl_chain_alloc());
  nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_TABLE, nft_name(chain.table));
  nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.base) {
    nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_TYPE, "filter");
    nftnl_chain_set_u32(handle.get(), NFTNL_CHAIN_HOOKNUM, hook_number(chain.base->hook));
    nftnl_chain_set_s32(handle.get(), NFTNL_CHAIN_PRIO, chain.base->priority);
    nftnl_chain_set_u32(handle.get(), NFTNL_CHAIN_POLICY,
                        static_cast<std::uint32_t>(chain.base->policy));
    if (chain.base->hook == Hook::ingress) {
      std::vector<const char*> devices;
      for (const std::string& device : chain.base->devices) devices.push_back(device.c_str());
      devices.push_back(nullptr);
      nftnl_chain_set_data(handle.get(), NFTNL_CHAIN_DEVICES, devices.data(), 0);
    }
  }
  const std::uint16_t flags = type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0;
  nftnl_chain_nlmsg_build_payload(
      batch.begin(type, flags, {fmt::format("chain '{}'", chain.name), {}}, chain.table),
      handle.get());
  batch.end();
}

void put_userdata(nftnl_rule* handle, const Rule& rule) {
  UdataHandle buffer(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
  if (!rule.id.empty()) {
    nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_RULE_COMMENT,
                         rule.id.substr(0, NFTNL_UDATA_COMMENT_MAXLEN - 1).c_str());
  }
  if (const std::string where = fw::to_string(rule.where); !where.empty() && where.size() < 100) {
    nftnl_udata_put_strz(buffer.get(), kUdataLocation, where.c_str());
  }
  if (nftnl_udata_buf_len(buffer.get()) == 0) return;
  nftnl_rule_set_data(handle, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(buffer.get()),
                      nftnl_udata_buf_len(buffer.get()));
}

void rule_message(const Chain& chain, const Rule& rule, Batch& batch) {
  RuleHandle handle(nftnl_rule_alloc());
  nftnl_rule_set_str(handle.get(), NFTNL_RULE_TABLE, nft_name(chain.table));
  nftnl_rule_set_str(handle.get(), NFTNL_RULE_CHAIN, chain.name.c_str());
  put_userdata(handle.get(), rule);
  lower(rule.exprs, handle.get());
  Origin origin{fmt::format("chain '{}', rule '{}'", chain.name, rule.id), rule.where};
  nftnl_rule_nlmsg_build_payload(
      batch.begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, std::move(origin), chain.table),
      handle.get());
  batch.end();
}

void clear_chain(const Named& chain, Batch& batch) {
  nlmsghdr* message =
      batch.begin(NFT_MSG_DELRULE, 0, {fmt::format("chain '{}'", chain.name), {}}, chain.table);
  mnl_attr_put_strz(message, NFTA_RULE_TABLE, nft_name(chain.table));
  mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain.name.c_str());
  batch.end();
}

std::uint32_t padded(std::uint32_t length) { return (length + 3) / 4 * 4; }

/// "typeof ct id", as nftables writes it (src/ct.c, src/mnl.c).
void put_typeof_ct_id(nftnl_udata_buf* buffer) {
  enum : std::uint8_t { kExpr = 0, kData = 1 };          // of a typeof
  enum : std::uint8_t { kCtKey = 0, kCtDirection = 1 };  // of its data
  constexpr std::uint32_t kBigEndian = 2;                // BYTEORDER_BIG_ENDIAN
  constexpr std::uint32_t kExprCt = 12;                  // EXPR_CT
  nftnl_udata_put_u32(buffer, NFTNL_UDATA_SET_KEYBYTEORDER, kBigEndian);
  nftnl_udata* const type = nftnl_udata_nest_start(buffer, NFTNL_UDATA_SET_KEY_TYPEOF);
  nftnl_udata_put_u32(buffer, kExpr, kExprCt);
  nftnl_udata* const data = nftnl_udata_nest_start(buffer, kData);
  nftnl_udata_put_u32(buffer, kCtKey, NFT_CT_ID);
  nftnl_udata_put_u32(buffer, kCtDirection, ~0u);
  nftnl_udata_nest_end(buffer, data);
  nftnl_udata_nest_end(buffer, type);
}

void put_set_userdata(nftnl_set* handle, const Set& set) {
  constexpr std::uint32_t kHostEndian = 1;  // nftables' BYTEORDER_HOST_ENDIAN
  UdataHandle buffer(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
  // Of several fields nft knows it without being told.
  const bool index = set.key.size() == 1 && set.key.front() == Field::iif;
  if (set.key.front() == Field::mark || index) {
    nftnl_udata_put_u32(buffer.get(), NFTNL_UDATA_SET_KEYBYTEORDER, kHostEndian);
  }
  if (set.key.front() == Field::ct_id) put_typeof_ct_id(buffer.get());
  if (!set.comment.empty()) {
    nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_SET_COMMENT,
                         set.comment.substr(0, NFTNL_UDATA_COMMENT_MAXLEN - 1).c_str());
  }
  if (nftnl_udata_buf_len(buffer.get()) == 0) return;
  nftnl_set_set_data(handle, NFTNL_SET_USERDATA, nftnl_udata_buf_data(buffer.get()),
                     nftnl_udata_buf_len(buffer.get()));
}

void set_message(const Set& set, Batch& batch) {
  SetHandle handle(nftnl_set_alloc());
  nftnl_set* s = handle.get();
  nftnl_set_set_str(s, NFTNL_SET_TABLE, nft_name(set.table));
  nftnl_set_set_str(s, NFTNL_SET_NAME, set.name.c_str());
  std::uint32_t type = 0;
  std::uint32_t length = 0;
  for (Field field : set.key) {
    type = type << 6 | info(field).type_id;
    length += set.key.size() == 1 ? info(field).length : padded(info(field).length);
  }
  std::uint32_t flags = 0;
  if (set.interval) flags |= NFT_SET_INTERVAL;
  if (set.timeout) flags |= NFT_SET_TIMEOUT;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  if (std::holds_alternative<Verdict>(set.data)) {
    flags |= NFT_SET_MAP;
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(std::uint32_t));
  }
  if (const auto* kind = std::get_if<ObjectKind>(&set.data)) {
    flags |= NFT_SET_OBJECT;
    nftnl_set_set_u32(s, NFTNL_SET_OBJ_TYPE, static_cast<std::uint32_t>(*kind));
  }
  nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
  nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, type);
  nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, length);
  nftnl_set_set_u32(s, NFTNL_SET_ID, batch.messages() + 1);
  // A set that rules fill has that size in the kernel anyway; told so, it makes room for all of it
  // at once: a megabyte.
  const bool usual = set.dynamic && set.size == kDynamicSizeDefault;
  if (set.size != 0 && !usual) nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, set.size);
  if (set.timeout_default.count() != 0) {
    nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT,
                      static_cast<std::uint64_t>(set.timeout_default.count()));
  }
  if (set.gc_interval.count() != 0) {
    nftnl_set_set_u32(s, NFTNL_SET_GC_INTERVAL,
                      static_cast<std::uint32_t>(set.gc_interval.count()));
  }
  put_set_userdata(s, set);
  if (set.counter) {
    nftnl_expr* counter = nftnl_expr_alloc("counter");
    nftnl_set_add_expr(s, counter);
  }
  nftnl_set_nlmsg_build_payload(
      batch.begin(NFT_MSG_NEWSET, NLM_F_CREATE, {fmt::format("set '{}'", set.name), set.where},
                  set.table),
      s);
  batch.end();
}

/// The next key in network order; false after the last.
bool increment(Bytes& key) {
  for (std::size_t i = key.size(); i-- > 0;) {
    if (++key[i] != 0) return true;
  }
  return false;
}

void put_data(nlmsghdr* message, const ElementData& data) {
  if (const auto* verdict = std::get_if<Verdict>(&data)) {
    nlattr* nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
    nlattr* inner = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(static_cast<std::uint32_t>(verdict->kind)));
    if (!verdict->chain.empty()) {
      mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, verdict->chain.c_str());
    }
    mnl_attr_nest_end(message, inner);
    mnl_attr_nest_end(message, nest);
  }
  if (const auto* object = std::get_if<std::string>(&data)) {
    mnl_attr_put_strz(message, NFTA_SET_ELEM_OBJREF, object->c_str());
  }
}

void put_element(nlmsghdr* message, const Bytes& key, std::uint32_t flags, const Element* full) {
  nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  if (flags != 0) mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(flags));
  nlattr* nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
  mnl_attr_put(message, NFTA_DATA_VALUE, key.size(), key.data());
  mnl_attr_nest_end(message, nest);
  if (full != nullptr) {
    put_data(message, full->data);
    if (!full->comment.empty()) {
      UdataHandle buffer(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
      nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_SET_ELEM_COMMENT, full->comment.c_str());
      mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, nftnl_udata_buf_len(buffer.get()),
                   nftnl_udata_buf_data(buffer.get()));
    }
  }
  mnl_attr_nest_end(message, element);
}

void elements_message(const Set& set, std::uint16_t type, Batch& batch) {
  constexpr std::size_t kPerMessage = 128;  // each at most ~400 bytes
  const std::uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
  for (std::size_t from = 0; from < set.elements.size(); from += kPerMessage) {
    const std::size_t to = std::min(set.elements.size(), from + kPerMessage);
    nlmsghdr* message = batch.begin(
        type, flags, {fmt::format("set '{}'", set.name), set.elements[from].where}, set.table);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, nft_name(set.table));
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set.name.c_str());
    nlattr* list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (std::size_t i = from; i < to; ++i) {
      const Element& element = set.elements[i];
      put_element(message, element.key, 0, &element);
      if (!set.interval) continue;
      Bytes after = element.key_last.empty() ? element.key : element.key_last;
      if (increment(after)) put_element(message, after, NFT_SET_ELEM_INTERVAL_END, nullptr);
    }
    mnl_attr_nest_end(message, list);
    batch.end();
  }
}

void object_message(const Object& object, Batch& batch) {
  ObjectHandle handle(nftnl_obj_alloc());
  nftnl_obj* o = handle.get();
  const auto kind = object.limit ? ObjectKind::limit : ObjectKind::counter;
  nftnl_obj_set_str(o, NFTNL_OBJ_TABLE, nft_name(object.table));
  nftnl_obj_set_str(o, NFTNL_OBJ_NAME, object.name.c_str());
  nftnl_obj_set_u32(o, NFTNL_OBJ_TYPE, static_cast<std::uint32_t>(kind));
  if (object.limit) {
    nftnl_obj_set_u64(o, NFTNL_OBJ_LIMIT_RATE, object.limit->count);
    nftnl_obj_set_u64(o, NFTNL_OBJ_LIMIT_UNIT, static_cast<std::uint64_t>(object.limit->unit));
    nftnl_obj_set_u32(o, NFTNL_OBJ_LIMIT_BURST, object.limit->burst);
    nftnl_obj_set_u32(o, NFTNL_OBJ_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_obj_set_u32(o, NFTNL_OBJ_LIMIT_FLAGS, 0);
  }
  UdataHandle buffer(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
  if (!object.comment.empty()) {
    nftnl_udata_put_strz(buffer.get(), NFTNL_UDATA_OBJ_COMMENT, object.comment.c_str());
    nftnl_obj_set_data(o, NFTNL_OBJ_USERDATA, nftnl_udata_buf_data(buffer.get()),
                       nftnl_udata_buf_len(buffer.get()));
  }
  nftnl_obj_nlmsg_build_payload(
      batch.begin(
          NFT_MSG_NEWOBJ, NLM_F_CREATE,
          {fmt::format("{} '{}'", object.limit ? "limit" : "counter", object.name), object.where},
          object.table),
      o);
  batch.end();
}

void remove_named(std::uint16_t type, std::uint16_t table_attr, std::uint16_t name_attr,
                  const std::string& what, const Named& named, Batch& batch) {
  nlmsghdr* message =
      batch.begin(type, 0, {fmt::format("{} '{}'", what, named.name), {}}, named.table);
  mnl_attr_put_strz(message, table_attr, nft_name(named.table));
  mnl_attr_put_strz(message, name_attr, named.name.c_str());
  batch.end();
}

void remove_object(const Object& object, Batch& batch) {
  const auto kind = object.limit ? ObjectKind::limit : ObjectKind::counter;
  nlmsghdr* message =
      batch.begin(NFT_MSG_DELOBJ, 0, {fmt::format("object '{}'", object.name), {}}, object.table);
  mnl_attr_put_strz(message, NFTA_OBJ_TABLE, nft_name(object.table));
  mnl_attr_put_strz(message, NFTA_OBJ_NAME, object.name.c_str());
  mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htonl(static_cast<std::uint32_t>(kind)));
  batch.end();
}

enum class Flags : std::uint8_t { leave, none, owner };

void table_message(Table table, std::uint16_t type, Flags table_flags, Batch& batch) {
  const std::uint16_t flags = type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0;
  nlmsghdr* message = batch.begin(type, flags, {name_of(table), {}}, table);
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, nft_name(table));
  if (table_flags != Flags::leave) {
    const std::uint32_t set = table_flags == Flags::owner ? NFT_TABLE_F_OWNER : 0;
    mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(set));
  }
  batch.end();
}

void make_tables(const Plan& plan, Batch& batch) {
  const Flags flags = plan.wake_table ? Flags::none : Flags::leave;
  if (plan.make_table || plan.wake_table) {
    table_message(Table::inet, NFT_MSG_NEWTABLE, flags, batch);
  }
  if (plan.make_bridge) {  // what stands there is none that was read
    table_message(Table::bridge, NFT_MSG_NEWTABLE, Flags::leave, batch);
    table_message(Table::bridge, NFT_MSG_DELTABLE, Flags::leave, batch);
    table_message(Table::bridge, NFT_MSG_NEWTABLE, Flags::leave, batch);
  } else if (plan.wake_table && plan.wants_bridge) {
    table_message(Table::bridge, NFT_MSG_NEWTABLE, flags, batch);
  }
}

}  // namespace

void encode(const Plan& plan, Batch& batch) {
  make_tables(plan, batch);
  for (const Named& chain : plan.clear_chains) clear_chain(chain, batch);
  for (const ElementChange& change : plan.remove_elements) {
    elements_message(change.set, NFT_MSG_DELSETELEM, batch);
  }
  for (const Named& set : plan.remove_sets) {
    remove_named(NFT_MSG_DELSET, NFTA_SET_TABLE, NFTA_SET_NAME, "set", set, batch);
  }
  for (const Named& chain : plan.remove_chains) {
    remove_named(NFT_MSG_DELCHAIN, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, "chain", chain, batch);
  }
  for (const Object& object : plan.remove_objects) remove_object(object, batch);
  if (plan.remove_bridge) encode_remove_table(Table::bridge, batch);
  for (const Object* object : plan.add_objects) object_message(*object, batch);
  for (const Chain& chain : plan.add_chains) chain_message(chain, NFT_MSG_NEWCHAIN, batch);
  for (const Set* set : plan.add_sets) {
    set_message(*set, batch);
    elements_message(*set, NFT_MSG_NEWSETELEM, batch);
  }
  for (const ElementChange& change : plan.add_elements) {
    elements_message(change.set, NFT_MSG_NEWSETELEM, batch);
  }
  for (const Chain* chain : plan.fill_chains) {
    for (const Rule& rule : chain->rules) rule_message(*chain, rule, batch);
  }
}

void encode_stand_in(const Ruleset& rules, bool replaces, Batch& batch) {
  if (replaces) encode_remove_table(Table::stand_in, batch);
  table_message(Table::stand_in, NFT_MSG_NEWTABLE, Flags::owner, batch);
  Plan plan = diff(nullptr, rules);
  plan.make_table = false;
  encode(plan, batch);
}

void encode_remove_table(Table table, Batch& batch) {
  table_message(table, NFT_MSG_DELTABLE, Flags::leave, batch);
}

namespace {

void flush_message(const FlushSet& flush, Batch& batch) {
  nlmsghdr* message = batch.begin(NFT_MSG_DELSETELEM, 0, {fmt::format("set '{}'", flush.set), {}});
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, kTable);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, flush.set.c_str());
  batch.end();
}

/// Writes elements of one set into as many messages as they need.
class ElementStream final : public ElementSink {
 public:
  ElementStream(Batch& batch, const StreamElements& of)
      : batch_(batch),
        of_(of),
        wide_(of.key == Field::ip6_saddr),
        max_(fw::address_max(wide_ ? fw::Family::ipv6 : fw::Family::ipv4)) {}
  ~ElementStream() {
    if (message_ != nullptr) close();
  }
  ElementStream(const ElementStream&) = delete;
  ElementStream& operator=(const ElementStream&) = delete;

  void put(fw::U128 first, fw::U128 last,
           std::optional<std::chrono::milliseconds> timeout) override;

 private:
  void open();
  void close();
  void element(fw::U128 key, bool end, std::optional<std::chrono::milliseconds> timeout);

  Batch& batch_;
  const StreamElements& of_;
  bool wide_;     ///< 16 bytes, else 4
  fw::U128 max_;  ///< nothing ends an interval that reaches it
  nlmsghdr* message_ = nullptr;
  void* list_ = nullptr;
};

void ElementStream::open() {
  const bool add = of_.what == StreamElements::Do::add;
  message_ = batch_.begin(add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0,
                          {fmt::format("set '{}'", of_.set), {}});
  mnl_attr_put_strz(message_, NFTA_SET_ELEM_LIST_TABLE, kTable);
  mnl_attr_put_strz(message_, NFTA_SET_ELEM_LIST_SET, of_.set.c_str());
  list_ = mnl_attr_nest_start(message_, NFTA_SET_ELEM_LIST_ELEMENTS);
}

void ElementStream::close() {
  mnl_attr_nest_end(message_, static_cast<nlattr*>(list_));
  batch_.end();
  message_ = nullptr;
}

void ElementStream::element(fw::U128 key, bool end,
                            std::optional<std::chrono::milliseconds> timeout) {
  nlattr* nest = mnl_attr_nest_start(message_, NFTA_LIST_ELEM);
  nlattr* value = mnl_attr_nest_start(message_, NFTA_SET_ELEM_KEY);
  if (!wide_) {
    mnl_attr_put_u32(message_, NFTA_DATA_VALUE, htobe32(static_cast<std::uint32_t>(key)));
  } else {
    const std::uint64_t words[2] = {htobe64(static_cast<std::uint64_t>(key >> 64)),
                                    htobe64(static_cast<std::uint64_t>(key))};
    mnl_attr_put(message_, NFTA_DATA_VALUE, sizeof words, words);
  }
  mnl_attr_nest_end(message_, value);
  if (end) mnl_attr_put_u32(message_, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
  if (timeout && !end) {
    mnl_attr_put_u64(message_, NFTA_SET_ELEM_TIMEOUT,
                     htobe64(static_cast<std::uint64_t>(timeout->count())));
  }
  mnl_attr_nest_end(message_, nest);
}

void ElementStream::put(fw::U128 first, fw::U128 last,
                        std::optional<std::chrono::milliseconds> timeout) {
  if (message_ == nullptr) open();
  element(first, false, timeout);
  if (of_.interval && last != max_) element(last + 1, true, timeout);
  const auto* start = static_cast<const char*>(list_);
  const auto used = static_cast<std::size_t>(
      static_cast<const char*>(mnl_nlmsg_get_payload_tail(message_)) - start);
  if (used > kNestMax) close();
}

struct EncodeUpdate {
  Batch& batch;

  void operator()(const FlushSet& flush) const { flush_message(flush, batch); }
  void operator()(const StreamElements& stream) const {
    ElementStream sink(batch, stream);
    stream.each(sink);
  }
  void operator()(const AddElements& added) const {
    elements_message(added.set, NFT_MSG_NEWSETELEM, batch);
  }
};

}  // namespace

void encode(const std::vector<SetUpdate>& updates, Batch& batch) {
  for (const SetUpdate& update : updates) std::visit(EncodeUpdate{batch}, update);
}

Batch encode(const Transaction& transaction) {
  Batch batch(transaction.generation);
  encode(transaction.plan, batch);
  encode(transaction.updates, batch);
  return batch;
}

}  // namespace chains
