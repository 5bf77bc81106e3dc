// The memory of the limiter's service, which a restart keeps.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <string>

#include "fw/base/limits.hpp"
#include "fw/base/result.hpp"
#include "limiter/events.hpp"
#include "limiter/hash.hpp"
#include "limiter/table.hpp"

namespace fw::services {

struct BudgetSizes {
  std::size_t buckets = kBucketSlots;
  std::size_t events = kEventSlots;
};

/// All that was counted, and the secret that its keys are hashed with.
struct Budgets {
  limiter::Secret secret;
  limiter::Table buckets;  ///< of the larger counts
  limiter::Events events;  ///< of the exact windows

  /// In memory that ends with the process.
  static Result<Budgets> make(const BudgetSizes& sizes = {});
  /// In the file DIR/budgets, mode 0600, which is mapped: what is counted is kept at the moment at
  /// which it is counted, however the process ends. A file of another boot (the times in it are
  /// this boot's), another size or another version is replaced. Errors: no room for all of it.
  static Result<Budgets> in(const std::string& dir, const BudgetSizes& sizes = {});
};

}  // namespace fw::services
