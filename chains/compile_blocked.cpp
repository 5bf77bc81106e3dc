// Blocked sources: the admin's blocks and the block lists.
//
// A blocked packet is dropped at the device's ingress when its source is a single address, before
// connection tracking has spent anything on it. The chain `blocked` says the same for every packet
// of a flow that is not admitted, networks included; flows that were admitted before their source
// was blocked lose the mark when the block is made, and then meet it too. So an established packet
// never pays for the interval sets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <bit>
#include <string_view>

#include <fmt/format.h>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"

namespace chains {

using namespace build;

namespace {

/// A fixed-size hash is the kernel's fastest set. It is recreated when the content outgrows it.
std::uint32_t hash_size(std::uint32_t count) {
  return std::bit_ceil(std::max<std::uint32_t>(count + count / 8, 1024));
}

void list_sets(Compilation& c, const char* const names[4], const ListVersion& version) {
  for (int i = 0; i < 4; ++i) {
    const fw::Family family = i < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    Set& set = c.set(names[i], {saddr(family)});
    set.content = Content::managed;
    set.interval = i % 2 == 1;
    if (!set.interval) set.size = hash_size(i == 0 ? version.addresses4 : version.addresses6);
  }
}

void block_sets(Compilation& c) {
  for (int i = 0; i < 4; ++i) {
    Set& set = c.set(kBlockSets[i], {saddr(i < 2 ? fw::Family::ipv4 : fw::Family::ipv6)});
    set.content = Content::managed;
    set.interval = i % 2 == 1;
    set.timeout = true;
  }
}

void manifest(Compilation& c) {
  Set& set = c.set(kManifest, {Field::mark});
  set.comment = "versions of the sets too large to compare";
  set.elements.push_back({u32(kManifestLists), {}, {}, manifest_text(c.facts, c.admission), {}});
  std::uint32_t key = kManifestSources;
  for (const SourceList& list : c.facts.source_lists)
    set.elements.push_back({u32(key++), {}, {}, manifest_text(list), {}});

  Set& versions = c.set(kBlockVersions, {Field::mark});
  versions.content = Content::managed;
  versions.comment = "the greatest is the version of the blocks";
}

constexpr bool kNoLists[4] = {};

/// What comes from a single address that is blocked, or `listed` (by set), but later packets of
/// TCP: of them only what a host needs on its links goes on.
void early_drop(Compilation& c, const bool (&listed)[4]) {
  for (const char* why : {"blocked", "listed"}) {
    if (std::string_view(why) == "listed" && !listed[0] && !listed[2]) continue;
    Chain& chain = c.chain(fmt::format("ingress_{}", why));
    not_needed_at_ingress(chain, why, {count(why), drop()});
    needed_at_ingress(chain);
    rule(chain, why, {}, {count(why), drop()});
  }
  Chain& ingress = c.chain("ingress");
  ingress.base = BaseHook{Hook::ingress, -500, VerdictKind::accept, {}};
  for (const Device& device : c.facts.devices) ingress.base->devices.push_back(device.name);
  rule(ingress, "not the first packet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kAck), u8(0), Compare::not_equal), accept()});
  for (const int set : {0, 2}) {  // of single addresses
    const fw::Family family = set < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    if (listed[set]) {  // even an empty set costs a lookup
      rule(ingress, "listed address", {},
           {is_family(family), in_set(saddr(family), kListedSets[set]), go("ingress_listed")});
    }
    rule(ingress, "blocked address", {},
         {is_family(family), in_set(saddr(family), kBlockSets[set]), go("ingress_blocked")});
  }
}

}  // namespace

void compile_blocked(Compilation& c) {
  const bool lists = !c.facts.block_lists.digest.empty();
  c.counter("blocked");
  block_sets(c);
  if (lists) {
    c.counter("listed");
    list_sets(c, kListedSets, c.facts.block_lists);
  }
  if (!c.facts.allow_lists.digest.empty()) list_sets(c, kAllowedSets, c.facts.allow_lists);
  manifest(c);

  const ListVersion& v = c.facts.block_lists;
  const bool listed[] = {v.addresses4 > 0, v.networks4 > 0, v.addresses6 > 0, v.networks6 > 0};
  auto drop_rules = [&](Chain& chain, int set, const std::string& what,
                        Field (*side)(fw::Family) = saddr) {
    const fw::Family family = set < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    if (lists && listed[set]) {  // even an empty set costs a lookup
      rule(chain, "listed " + what, {},
           {is_family(family), in_set(side(family), kListedSets[set]), count("listed"), drop()});
    }
    rule(chain, "blocked " + what, {},
         {is_family(family), in_set(side(family), kBlockSets[set]), count("blocked"), drop()});
  };
  if (!c.facts.devices.empty()) early_drop(c, lists ? listed : kNoLists);
  for (const bool v6 : {false, true}) {
    const int first = v6 ? 2 : 0;
    Chain all{v6 ? "blocked6" : "blocked", {}, {}, false};
    Chain networks{v6 ? "blocked_networks6" : "blocked_networks", {}, {}, false};
    if (!v6) {
      rule(all, "IPv6", {}, {is_family(fw::Family::ipv6), go("blocked6")});
      rule(networks, "IPv6", {}, {is_family(fw::Family::ipv6), go("blocked_networks6")});
    }
    drop_rules(all, first, "address");
    drop_rules(all, first + 1, "network");
    drop_rules(networks, first + 1, "network");
    c.out.chains.push_back(std::move(all));
    c.out.chains.push_back(std::move(networks));
  }
  // What this host sends on to a blocked address must not admit the flow, or answers would pass.
  Chain& target = c.chain("blocked_target");
  for (const int set : {0, 1, 2, 3}) {
    drop_rules(target, set, set % 2 == 0 ? "address" : "network", daddr);
  }
  // A first packet that came by the device with the early drop has been asked for its address. Told
  // by the index: a device of the same name that was made since has another, and no early drop. And
  // by the name: the early drop goes with that.
  Chain fresh{"blocked_new", {}, {}, false};
  if (c.facts.devices.size() == 1) {
    rule(fresh, "came another way", {},
         {match_masked(Field::iif, {}, u32(c.facts.devices.front().index), Compare::not_equal),
          go("blocked")});
    rule(fresh, "came another way", {},
         {match_masked(Field::iifname, {}, device_bytes(c.facts.devices.front().name),
                       Compare::not_equal),
          go("blocked")});
    rule(fresh, "networks", {}, {go("blocked_networks")});
  } else {
    rule(fresh, "addresses and networks", {}, {go("blocked")});
  }
  c.out.chains.push_back(std::move(fresh));
}

}  // namespace chains
