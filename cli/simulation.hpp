// What `simulate` found, for people and for programs.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "cli/context.hpp"
#include "fw/capture/reader.hpp"
#include "fw/simulate/compare.hpp"
#include "fw/simulate/hosts.hpp"

namespace cli {

struct Simulated {
  const simulate::Firewall* firewall = nullptr;
  std::string policy;                         ///< its name
  const simulate::Firewall* other = nullptr;  ///< of --compare
  std::string other_policy;
  simulate::Hosts hosts;
  capture::Reader::Counts counts;
  std::vector<fw::Error> broken;
  std::size_t shown = 10;  ///< clients and ports of each kind, for people
};

/// Has a limit refused a client?
bool has_refusals(const simulate::Firewall& firewall);

void print_simulation(const Context& context, const Simulated& simulated);
boost::json::value to_json(const Simulated& simulated);

/// A moment of a capture, in whole seconds.
std::string moment_text(simulate::Nanoseconds time);

}  // namespace cli
