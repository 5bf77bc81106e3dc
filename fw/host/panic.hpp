// Whether there is a panic, for every apply and boot until it is called off.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "chains/compile.hpp"
#include "fw/base/result.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

struct PanicState {
  WallTime since{};
  chains::Panic panic;

  bool operator==(const PanicState&) const = default;
};

std::optional<PanicState> read_panic(const std::string& state_dir);
/// On disk when it returns; without a state it is called off.
Result<void> save_panic(const std::string& state_dir, const std::optional<PanicState>& state);

}  // namespace fw
