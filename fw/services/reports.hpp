// Reports of failed passwords: who may make them, of whom, and what they say.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "fw/base/address.hpp"
#include "fw/base/result.hpp"
#include "limiter/gcra.hpp"
#include "limiter/hash.hpp"
#include "limiter/table.hpp"

namespace fw::services {

/// {"client": "203.0.113.7", "limit": "password", "account": "bob", "reason": "wrong password"}
struct Report {
  Ip client;
  std::string limit = "password";  ///< whose refusals it counts as
  std::string account;
  std::string reason;

  bool operator==(const Report&) const = default;
};

/// Errors: usage, with what is wrong. Texts are at most kServiceNameMax bytes.
Result<Report> read_report(std::string_view json);

/// Which site may report, by its token: lines "SITE TOKEN" of a file; "#" begins a comment. A
/// token has at least 32 characters. At most kServiceSitesMax lines.
class Tokens {
 public:
  static Result<Tokens> read(std::string_view text);

  /// In a time that does not tell how much of the token is right.
  bool allow(std::string_view site, std::string_view token) const;
  std::size_t size() const { return of_site_.size(); }

 private:
  std::map<std::string, std::string, std::less<>> of_site_;
};

/// Of which clients sites have asked in the last ten to twenty minutes: a site may report these
/// only. 2 MiB; when it is full, the pair whose time is nearest to its end is forgotten.
class AskedFor {
 public:
  static Result<AskedFor> make();

  void note(std::string_view site, Ip client, limiter::Ticks now);
  bool knows(std::string_view site, Ip client, limiter::Ticks now) const;

 private:
  explicit AskedFor(limiter::Table table) : table_(std::move(table)) {}

  limiter::Secret secret_ = limiter::Secret::random();
  limiter::Table table_;
};

}  // namespace fw::services
