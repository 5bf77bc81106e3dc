// Connections over time, against each limit: on a terminal, and as SVG.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fw/simulate/tally.hpp"

namespace cli {

/// What a plot shows of one limit: a value for each stretch of `width` seconds.
struct Curve {
  std::string limit;
  std::string rate;
  std::uint64_t most = 0;        ///< the limit: connections of one client in `period`
  std::string period;            ///< "10s"
  std::int64_t begin = 0;        ///< ns since 1970
  std::uint64_t width = 1;       ///< s
  std::vector<double> admitted;  ///< connections a second
  std::vector<double> refused;
  std::vector<std::uint64_t> busiest;  ///< connections of one client in `period`
};
Curve curve_of(const simulate::Tally& tally);

/// One row of blocks, `columns` wide; the highest is `top`. Where the terminal's characters are not
/// UTF-8, of ASCII.
std::string sparkline(const std::vector<double>& values, double top, std::size_t columns);

/// A whole picture, one panel for each curve.
std::string to_svg(const std::vector<Curve>& curves, const std::string& title);

}  // namespace cli
