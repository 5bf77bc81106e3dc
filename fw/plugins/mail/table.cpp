// [mail]: what an admin says of mail.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/mail/contribution.hpp"

namespace fw::mail {

std::vector<Table> tables() {
  return {with_keys(
      {.name = "mail", .defines = "whether the mail ports are open", .doubt = Doubt::ports},
      {{{"enabled", "true or false", "`false`", "true opens TCP 25, 587, 993 and 4190"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.mail_enabled = in.boolean(value).value_or(false);
          policy.mail_where = in.where(value);
        }}})};
}

}  // namespace fw::mail
