// The ports and limits of mail.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/mail/contribution.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace fw::mail {
namespace {

using std::chrono::seconds;

std::vector<PortRange> ports() { return tcp_ports({25, 587, 993, 4190}); }

/// Limits stand in a fixed order, in which their rules are made: by what they protect.
void put_before(std::string_view name, std::vector<Limit> added, std::vector<Limit>& limits) {
  limits.insert(std::ranges::find(limits, name, &Limit::name),
                std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()));
}

}  // namespace

Policy with_defaults(Policy policy) {
  const Rate mail{50, seconds{1}};
  const Rate relay{500, seconds{1}};
  // L4: by source, and by app.
  put_before("database",
             {default_limit("mail", ports(), Source::outside, mail),
              default_limit("mail-apps", tcp_ports({25, 587, 993}), Source::apps, mail)},
             policy.limits);
  // L6 and L7. A port is in one limit a side: 4190 is asked for by L4 too, with the same rate, so
  // it is counted here and not in mail-apps.
  put_before("auth",
             {default_limit("mail-relay", tcp_ports({2525}), Source::apps, relay),
              default_limit("mail-receive", tcp_ports({9993, 4190}), Source::apps, mail)},
             policy.limits);
  return policy;
}

Policy contribute(Policy policy) {
  if (!policy.mail_enabled) {
    policy.offers.push_back({ports(), "[mail] enabled = true"});
    return policy;
  }
  for (const PortRange& port : ports()) {
    policy.contributed_ports.push_back({port, policy.mail_where});
  }
  return policy;
}

}  // namespace fw::mail
