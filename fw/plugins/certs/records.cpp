// What is kept of earlier attempts to renew certificates.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/records.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::certs {
namespace {

constexpr std::string_view kFirstLine = "# attempts to renew certificates, version 1";

constexpr std::size_t kReasonBytes = 400;

/// What is before the next tab, which is taken off.
std::string_view next_field(std::string_view& line) {
  const std::string_view field = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(line.size(), field.size() + 1));
  return field;
}

std::int64_t next_number(std::string_view& line) {
  const std::string_view field = next_field(line);
  std::int64_t number = 0;
  std::from_chars(field.data(), field.data() + field.size(), number);
  return std::max<std::int64_t>(number, 0);
}

sys_seconds next_time(std::string_view& line) {
  return sys_seconds{std::chrono::seconds{next_number(line)}};
}

/// The CA's last refusal; "" when there is none.
std::string_view refusal_in(std::string_view log) {
  constexpr std::string_view kRefusal = "acme.messages.Error: urn:ietf:params:acme:error:";
  const auto at = log.rfind(kRefusal);
  if (at == log.npos) return {};
  log.remove_prefix(at + kRefusal.size());
  return log.substr(0, log.find('\n'));
}

}  // namespace

std::string to_text(const RenewalRecords& records) {
  std::string text(kFirstLine);
  for (const auto& [site, record] : records) {
    text += fmt::format("\n{}\t{}\t{}\t{}\t{}", site, record.failures,
                        record.last.time_since_epoch().count(),
                        record.told.time_since_epoch().count(), record.reason);
  }
  return text + "\n";
}

RenewalRecords read_records(std::string_view text, sys_seconds now) {
  RenewalRecords records;
  if (!text.starts_with(kFirstLine)) return records;
  while (!text.empty() && records.size() < kSitesMax) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.front() == '#') continue;
    const std::string site(next_field(line));
    RenewalRecord& record = records[site];
    record.failures = static_cast<int>(std::min<std::int64_t>(next_number(line), 1'000));
    record.last = std::min(next_time(line), now);
    record.told = std::min(next_time(line), now);
    record.reason = line;
  }
  return records;
}

std::string reason_of(std::string_view output, std::string_view log) {
  std::string details;
  std::string_view last;
  constexpr std::string_view kDetail = "Detail: ";
  constexpr std::string_view kDomain = "Domain: ";
  while (!output.empty()) {
    std::string_view line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(output.size(), line.size() + 1));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.empty()) continue;
    // What certbot says behind it: where to ask, and where its log is.
    if (!line.starts_with("Ask for help") && !line.starts_with("See the logfile") &&
        !line.starts_with("Saving debug log"))
      last = line;
    if (line.starts_with(kDomain))
      details += (details.empty() ? "" : "; ") + std::string(line.substr(kDomain.size())) + ": ";
    if (line.starts_with(kDetail)) details += line.substr(kDetail.size());
  }
  if (!details.empty()) return printable(details, kReasonBytes);
  const std::string_view refusal = refusal_in(log);
  return printable(refusal.empty() ? last : refusal, kReasonBytes);
}

}  // namespace fw::certs
