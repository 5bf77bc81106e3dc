// Dumps of nf_tables, read as Kernel::read does: whatever the attributes hold, the values that they
// become can be compared and printed. Messages stay whole: libnftnl, which the kernel alone talks
// to, takes that for granted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "chains/compile.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/label_writers.hpp"
#include "chains/netlink/observe.hpp"
#include "chains/text.hpp"
#include "fw/effective/policy.hpp"
#include "tests/fuzz/attribute_values.hpp"

namespace {

/// All rules come to the first chain, all elements to the first set: whoever made the bytes need
/// not find the names.
struct Dump {
  chains::Ruleset ruleset;
  std::vector<chains::Rule> rules;
  std::vector<chains::RawElement> elements;

  void take(const nlmsghdr* message) {
    switch (message->nlmsg_type & 0xff) {
      case NFT_MSG_NEWCHAIN:
        if (auto chain = chains::observe_chain(message))
          ruleset.chains.push_back(std::move(*chain));
        break;
      case NFT_MSG_NEWSET:
        if (auto set = chains::observe_set(message)) ruleset.sets.push_back(std::move(set->set));
        break;
      case NFT_MSG_NEWOBJ:
        if (auto object = chains::observe_object(message))
          ruleset.objects.push_back(std::move(object->object));
        break;
      case NFT_MSG_NEWSETELEM:
        for (auto& element : chains::observe_elements(message))
          elements.push_back(std::move(element));
        break;
      case NFT_MSG_NEWRULE:
        if (auto rule = chains::observe_rule(message)) rules.push_back(std::move(rule->rule));
        chains::label_writer(message, chains::Bytes(16, 0xff));
        break;
      default:
        break;
    }
  }

  void finish() {
    if (ruleset.chains.empty()) ruleset.chains.emplace_back().name = "c";
    for (auto& rule : rules) ruleset.chains.front().rules.push_back(std::move(rule));
    std::vector<chains::Counted> counts;
    if (!ruleset.sets.empty())
      chains::fill_elements(ruleset.sets.front(), counts, std::move(elements));
  }
};

}  // namespace

/// libnftnl itself forgets the memory of an expression that it refuses.
extern "C" const char* __lsan_default_suppressions() { return "leak:libnftnl"; }

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

/// Changes what one attribute holds.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t,
                                               unsigned seed) {
  const auto values = attribute_values(data, size);
  if (values.empty()) return size;
  const auto value = values[seed % values.size()];
  const std::size_t kept = LLVMFuzzerMutate(value.data(), value.size(), value.size());
  std::ranges::fill(value.subspan(std::min(kept, value.size())), std::uint8_t{0});
  return size;
}

/// One behind the other: messages of one dump.
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* a, std::size_t a_size,
                                                 const std::uint8_t* b, std::size_t b_size,
                                                 std::uint8_t* out, std::size_t size_max,
                                                 unsigned) {
  if (a_size % NLMSG_ALIGNTO != 0 || a_size + b_size > size_max) return 0;
  std::copy_n(b, b_size, std::copy_n(a, a_size, out));
  return a_size + b_size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const chains::Ruleset desired = chains::compile(fw::default_policy(), {});
  // Aligned; and a NUL behind it, because libnftnl takes names without one, which the kernel never
  // sends.
  std::vector<std::uint8_t> bytes(data, data + size);
  bytes.resize(size + 4);
  auto left = static_cast<int>(size);
  Dump dump;
  for (auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
       chains::message_fits(message, left); message = mnl_nlmsg_next(message, &left)) {
    dump.take(message);
  }
  dump.finish();
  chains::diff(&dump.ruleset, desired);
  chains::describe(&dump.ruleset, desired, chains::Unused::remove, 1000);
  chains::write_nft(
      dump.ruleset, [](const auto&, const auto&) {}, [](std::string_view) {});
  return 0;
}
