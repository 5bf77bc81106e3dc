// Which clients behind proxies are blocked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/blocked_clients.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "fw/base/limits.hpp"

namespace fw::services {

void BlockedClients::age(Time now) {
  const Time age = now - since_;
  if (age < kFresh / 2 && young_.size() < kBlockedKnownMax / 2) return;
  old_ = age < kFresh ? std::move(young_) : Answers();
  young_.clear();
  // Late or not, the old ones go kFresh after the first of them came.
  since_ = age >= kFresh / 2 && age < kFresh ? since_ + kFresh / 2 : now;
}

std::optional<bool> BlockedClients::known(Ip client, Time now) {
  age(now);
  for (const Answers* answers : {&young_, &old_}) {
    if (const auto found = answers->find(client); found != answers->end()) return found->second;
  }
  return {};
}

std::vector<Ip> BlockedClients::next_question() {
  std::vector<Ip> clients;
  if (under_way_) return clients;
  for (const auto& [client, all] : waiting_) {
    if (clients.size() == kBlockedAskedMax) break;
    clients.push_back(client);
  }
  under_way_ = !clients.empty();
  return clients;
}

void BlockedClients::answered(const std::vector<Ip>& asked,
                              const std::optional<std::vector<Ip>>& blocked, Time now) {
  under_way_ = false;
  std::vector<Again> all;
  for (const Ip client : asked) {
    age(now);
    young_[client] = blocked && std::ranges::find(*blocked, client) != blocked->end();
    auto waits = waiting_.extract(client);
    if (waits.empty()) continue;
    if (!blocked) unanswered_ += waits.mapped().size();
    std::ranges::move(waits.mapped(), std::back_inserter(all));
  }
  for (const Again& again : all) again();  // each may wait for another
}

}  // namespace fw::services
