// Blocked sources: the admin's blocks and the block lists.
//
// A blocked packet is dropped at the device's ingress when its source is a single address, before
// connection tracking has spent anything on it. The chain `blocked` says the same for every packet
// of a flow that is not admitted, networks included; flows that were admitted before their source
// was blocked lose the mark when the block is made, and then meet it too. So an established packet
// never pays for the interval sets.
#include <algorithm>
#include <bit>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"

namespace chains {

using namespace build;

namespace {

/// A fixed-size hash is the kernel's fastest set. It is made anew when the content outgrows it.
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
    if (!set.interval) set.size = fw::kBlocksMax;
  }
}

Expr drop_if(const char* set, fw::Family family) { return in_set(saddr(family), set); }

void manifest(Compilation& c) {
  Set& set = c.set(kManifest, {Field::mark});
  set.comment = "versions of the sets too large to compare";
  set.elements.push_back({u32(kManifestLists), {}, {}, manifest_lists(c.around), {}});
  set.elements.push_back(
      {u32(kManifestBlocks), {}, {}, manifest_blocks(c.around.block_generation), {}});
}

}  // namespace

void compile_blocked(Compilation& c) {
  const bool lists = !c.around.block_lists.digest.empty();
  c.counter("blocked");
  block_sets(c);
  if (lists) {
    c.counter("listed");
    list_sets(c, kListedSets, c.around.block_lists);
  }
  if (!c.around.allow_lists.digest.empty()) list_sets(c, kAllowedSets, c.around.allow_lists);
  manifest(c);

  if (!c.around.devices.empty()) {
    Chain& ingress = c.chain("ingress");
    ingress.base = BaseHook{Hook::ingress, -500, VerdictKind::accept, c.around.devices};
    for (fw::Family family : kFamilies) {
      const int first = family == fw::Family::ipv4 ? 0 : 2;
      if (lists) {
        rule(ingress, "listed address", {},
             {is_family(family), drop_if(kListedSets[first], family), count("listed"), drop()});
      }
      rule(ingress, "blocked address", {},
           {is_family(family), drop_if(kBlockSets[first], family), count("blocked"), drop()});
    }
  }

  Chain& blocked = c.chain("blocked");
  for (int i = 0; i < 4; ++i) {
    const fw::Family family = i < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    const char* const what = i % 2 == 1 ? "network" : "address";
    rule(blocked, std::string("blocked ") + what, {},
         {is_family(family), drop_if(kBlockSets[i], family), count("blocked"), drop()});
    if (!lists) continue;
    rule(blocked, std::string("listed ") + what, {},
         {is_family(family), drop_if(kListedSets[i], family), count("listed"), drop()});
  }
}

}  // namespace chains
