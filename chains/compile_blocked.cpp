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

  const ListVersion& v = c.around.block_lists;
  const bool listed[] = {v.addresses4 > 0, v.networks4 > 0, v.addresses6 > 0, v.networks6 > 0};
  if (!c.around.devices.empty()) {
    Chain& ingress = c.chain("ingress");
    ingress.base = BaseHook{Hook::ingress, -500, VerdictKind::accept, c.around.devices};
    rule(ingress, "not the first packet", {},
         {is_protocol(fw::Protocol::tcp),
          match_masked(Field::tcp_flags, u8(kAck), u8(0), Compare::not_equal), accept()});
    for (fw::Family family : kFamilies) {
      const int first = family == fw::Family::ipv4 ? 0 : 2;
      if (lists && listed[first]) {
        rule(ingress, "listed address", {},
             {is_family(family), drop_if(kListedSets[first], family), count("listed"), drop()});
      }
      rule(ingress, "blocked address", {},
           {is_family(family), drop_if(kBlockSets[first], family), count("blocked"), drop()});
    }
  }
  Chain blocked{"blocked", {}, {}, false};
  Chain blocked6{"blocked6", {}, {}, false};
  rule(blocked, "IPv6", {}, {is_family(fw::Family::ipv6), go("blocked6")});
  for (int i = 0; i < 4; ++i) {
    const fw::Family family = i < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    Chain& chain = i < 2 ? blocked : blocked6;
    const char* const what = i % 2 == 1 ? "network" : "address";
    rule(chain, std::string("blocked ") + what, {},
         {is_family(family), drop_if(kBlockSets[i], family), count("blocked"), drop()});
    if (!lists || !listed[i]) continue;  // even an empty set costs a lookup
    rule(chain, std::string("listed ") + what, {},
         {is_family(family), drop_if(kListedSets[i], family), count("listed"), drop()});
  }
  c.out.chains.push_back(std::move(blocked));
  c.out.chains.push_back(std::move(blocked6));
}

}  // namespace chains
