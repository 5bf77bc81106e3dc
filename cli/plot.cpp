// Connections over time, against each limit.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "cli/context.hpp"

namespace cli {

namespace {

constexpr double kWide = 960, kPanel = 150, kGap = 70, kLeft = 80, kTop = 60, kRight = 20;

bool has_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != text.npos || text.find("utf8") != text.npos;
  }
  return false;
}

/// So many columns, each the greatest of the values that it stands for.
std::vector<double> columns_of(const std::vector<double>& values, std::size_t columns) {
  if (values.size() <= columns) return values;
  std::vector<double> out(columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    double& column = out[i * columns / values.size()];
    column = std::max(column, values[i]);
  }
  return out;
}

double top_of(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string clock_text(std::int64_t ns) {
  return time_text(fw::WallTime(std::chrono::milliseconds(ns / 1'000'000)));
}

/// A chart's frame: what its height and its width stand for.
struct Frame {
  double y;
  double top;  ///< value at the upper edge
  std::size_t values;

  double x_of(std::size_t i) const {
    const double step =
        (kWide - kLeft - kRight) / static_cast<double>(std::max<std::size_t>(values, 1));
    return kLeft + step * static_cast<double>(i);
  }
  double y_of(double value) const { return y + kPanel - kPanel * value / top; }
};

/// Steps over `values`, closed at the bottom edge when filled.
std::string steps(const Frame& frame, const std::vector<double>& values, const char* style,
                  bool filled) {
  std::string path = fmt::format("M{:.1f} {:.1f}", frame.x_of(0), frame.y_of(0));
  for (std::size_t i = 0; i < values.size(); ++i) {
    path += fmt::format("V{:.1f}H{:.1f}", frame.y_of(values[i]), frame.x_of(i + 1));
  }
  if (filled) path += fmt::format("V{:.1f}Z", frame.y_of(0));
  return fmt::format("<path d=\"{}\" {}/>\n", path, style);
}

std::string words(double x, double y, std::string_view text, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

std::string number(double value) {
  return value >= 10 || value == std::floor(value)
             ? grouped(static_cast<std::uint64_t>(std::llround(value)))
             : fmt::format("{:.1f}", value);
}

std::string axes(const Frame& frame, const Curve& curve) {
  std::string out = fmt::format("<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"#888\"/>\n",
                                kLeft, frame.y, frame.y + kPanel, kWide - kRight);
  out += words(kLeft - 6, frame.y + 10, number(frame.top), "end");
  out += words(kLeft - 6, frame.y + kPanel, "0", "end");
  const auto seconds = static_cast<std::int64_t>(curve.width * frame.values);
  out += words(kLeft, frame.y + kPanel + 16, clock_text(curve.begin));
  out += words(kWide - kRight, frame.y + kPanel + 16,
               clock_text(curve.begin + seconds * 1'000'000'000), "end");
  return out;
}

std::string rates_panel(const Curve& curve, double y) {
  std::vector<double> all = curve.admitted;
  for (std::size_t i = 0; i < all.size(); ++i) all[i] += curve.refused[i];
  const Frame frame{y, std::max(top_of(all), 1.0), all.size()};
  return words(kLeft, y - 8,
               fmt::format("{}: connections a second, admitted (blue) and refused (red)",
                           curve.limit)) +
         steps(frame, all, "fill=\"#d33\"", true) +
         steps(frame, curve.admitted, "fill=\"#48c\"", true) + axes(frame, curve);
}

std::string busiest_panel(const Curve& curve, double y) {
  const std::vector<double> busiest(curve.busiest.begin(), curve.busiest.end());
  const auto most = static_cast<double>(curve.most);
  const Frame frame{y, std::max(top_of(busiest), most) * 1.1, busiest.size()};
  return words(
             kLeft, y - 8,
             fmt::format("{}: connections of the busiest client in {}, and the limit, {} (dashed)",
                         curve.limit, curve.period, curve.rate)) +
         steps(frame, busiest, "fill=\"none\" stroke=\"#333\"", false) +
         fmt::format("<path d=\"M{} {:.1f}H{}\" stroke=\"#d33\" stroke-dasharray=\"6 4\"/>\n",
                     kLeft, frame.y_of(most), kWide - kRight) +
         axes(frame, curve);
}

}  // namespace

Curve curve_of(const simulate::Tally& tally) {
  const auto& series = tally.series();
  Curve curve;
  curve.limit = tally.limit().name;
  curve.rate = to_string(tally.limit().rate);
  curve.most = tally.limit().rate.count;
  curve.period = fw::to_string(tally.limit().rate.period);
  curve.begin = tally.begin();
  curve.width = series.width();
  const auto width = static_cast<double>(series.width());
  for (const simulate::LimitBin& bin : series.bins()) {
    curve.admitted.push_back(static_cast<double>(bin.admitted) / width);
    curve.refused.push_back(static_cast<double>(bin.refused) / width);
    curve.busiest.push_back(bin.busiest);
  }
  return curve;
}

std::string sparkline(const std::vector<double>& values, double top, std::size_t columns) {
  static constexpr std::array<const char*, 9> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<const char*, 9> kAscii{" ", ".", ":", "-", "=", "+", "*", "%", "#"};
  const auto& levels = has_utf8() ? kBlocks : kAscii;
  std::string line;
  for (const double value : columns_of(values, columns)) {
    // Whatever is there is seen.
    const double part = top > 0 ? std::min(value / top, 1.0) * 8 : 0;
    line += levels[static_cast<std::size_t>(std::ceil(part))];
  }
  return line;
}

std::string to_svg(const std::vector<Curve>& curves, const std::string& title) {
  const double height = kTop + static_cast<double>(curves.size()) * 2 * (kPanel + kGap);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      kWide, height);
  svg += words(kLeft, 24, title);
  double y = kTop;
  for (const Curve& curve : curves) {
    svg += rates_panel(curve, y);
    y += kPanel + kGap;
    svg += busiest_panel(curve, y);
    y += kPanel + kGap;
  }
  return svg + "</svg>\n";
}

}  // namespace cli
