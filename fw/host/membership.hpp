// Whether lists and blocks hold an address.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "chains/ruleset.hpp"
#include "fw/host/target.hpp"
#include "fw/lists/address_set.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// Single addresses and networks, apart as the kernel's sets keep them.
class BlockedAddresses {
 public:
  BlockedAddresses() = default;
  explicit BlockedAddresses(const BlockedNow& blocked);

  bool empty() const { return singles_.empty() && networks_.empty(); }
  bool hold(Ip ip) const;
  /// Does the set of networks, or the one of single addresses?
  bool hold(Ip ip, bool networks) const;

 private:
  AddressSet singles_;
  AddressSet networks_;
};

/// What lists and the store's blocks say of an address, as a target's managed sets would. They can
/// be large, so each is read once, when it is first asked for. A copy of what was read needs
/// neither `lists` nor `store` any more.
class Membership {
 public:
  /// Without a store nobody is known to be blocked, nor that he is not.
  Membership(const Target& target, Lists& lists, Store* store);

  /// Reads all of it now; without a store nobody is blocked from then on.
  Result<void> read();
  /// Reads the block lists and the blocks.
  Result<void> read_blocked();

  /// Does a managed set hold the key? Nothing: it is none of these sets, or cannot be read.
  std::optional<bool> operator()(const chains::Set& set, const chains::Bytes& key);
  /// Do block lists or blocks hold it? What cannot be read holds nobody.
  bool is_blocked(Ip ip);

 private:
  struct Content {
    Digest digest;
    std::optional<Result<AddressSet>> read;
  };
  const Result<AddressSet>& content(Content& of);
  const Result<BlockedAddresses>& blocks();

  Lists* lists_;
  Store* store_;
  Content listed_;
  Content allowed_;
  std::map<std::string, Content, std::less<>> sources_;  ///< by the name of the list
  std::optional<Result<BlockedAddresses>> blocks_;
};

}  // namespace fw
