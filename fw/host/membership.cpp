// Whether lists and blocks hold an address.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/membership.hpp"

#include <algorithm>
#include <iterator>

#include "chains/compile.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {
namespace {

AddressSet set_of(const std::vector<BlockedPiece>& pieces) {
  AddressSet set;
  for (const BlockedPiece& piece : pieces) append(set, piece.range);
  normalize(set);
  return set;
}

bool is_among(const char* const (&names)[4], const std::string& name) {
  return std::ranges::find(names, name) != std::end(names);
}

}  // namespace

BlockedAddresses::BlockedAddresses(const BlockedNow& blocked)
    : singles_(set_of(blocked.singles)), networks_(set_of(blocked.networks)) {}

bool BlockedAddresses::hold(Ip ip) const { return hold(ip, false) || hold(ip, true); }

bool BlockedAddresses::hold(Ip ip, bool networks) const {
  return span_with(networks ? networks_ : singles_, ip).has_value();
}

Membership::Membership(const Target& target, Lists& lists, Store* store)
    : lists_(&lists),
      store_(store),
      listed_{target.lists.block, {}},
      allowed_{target.lists.allow, {}} {
  for (const chains::SourceList& list : target.facts.source_lists)
    sources_[list.name].digest = target.lists.content_of(list.name);
}

const Result<AddressSet>& Membership::content(Content& of) {
  if (!of.read) of.read = lists_->content(of.digest);
  return *of.read;
}

const Result<BlockedAddresses>& Membership::blocks() {
  if (blocks_) return *blocks_;
  const WallTime now = wall_clock();
  const auto snapshot = store_->blocks(now);
  blocks_ = snapshot ? Result<BlockedAddresses>(blocked_at(snapshot->blocks, now))
                     : std::unexpected(snapshot.error());
  return *blocks_;
}

Result<void> Membership::read_blocked() {
  if (const auto& listed = content(listed_); !listed) return std::unexpected(listed.error());
  if (store_ == nullptr) blocks_ = BlockedAddresses();
  if (const auto& blocked = blocks(); !blocked) return std::unexpected(blocked.error());
  return {};
}

Result<void> Membership::read() {
  if (const auto& allowed = content(allowed_); !allowed) return std::unexpected(allowed.error());
  for (auto& [name, source] : sources_) {
    if (const auto& held = content(source); !held) return std::unexpected(held.error());
  }
  return read_blocked();
}

std::optional<bool> Membership::operator()(const chains::Set& set, const chains::Bytes& key) {
  if (key.size() != 4 && key.size() != 16) return {};
  const Ip ip = ip_from_bytes(key.size() == 4 ? Family::ipv4 : Family::ipv6, key.data());
  const auto in_list = [&](Content& of) -> std::optional<bool> {
    const auto& held = content(of);
    if (!held) return {};
    const auto span = span_with(*held, ip);
    return span && span->single() != set.interval;
  };
  if (is_among(chains::kListedSets, set.name)) return in_list(listed_);
  if (is_among(chains::kAllowedSets, set.name)) return in_list(allowed_);
  if (is_among(chains::kBlockSets, set.name)) {
    if (store_ == nullptr && !blocks_) return {};
    const auto& blocked = blocks();
    return blocked ? std::optional(blocked->hold(ip, set.interval)) : std::nullopt;
  }
  const auto source = sources_.find(chains::list_of_source_set(set.name));
  if (source == sources_.end()) return {};
  const auto& held = content(source->second);
  return held ? std::optional(span_with(*held, ip).has_value()) : std::nullopt;
}

bool Membership::is_blocked(Ip ip) {
  if (const auto& listed = content(listed_); listed && span_with(*listed, ip)) return true;
  if (store_ == nullptr && !blocks_) return false;
  const auto& blocked = blocks();
  return blocked && blocked->hold(ip);
}

}  // namespace fw
