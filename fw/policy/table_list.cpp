// [[list]]: files of addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>

#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

constexpr std::array<std::pair<std::string_view, ListAction>, 3> kActions{
    {{"block", ListAction::block}, {"allow", ListAction::allow}, {"open", ListAction::open}}};

void read_list(Section& section, const Keys<List>& keys) {
  Draft& draft = section.draft();
  List list;
  list.where = section.where();
  keys.read(section, list);
  if (!section.has("action")) draft.actionless_lists.insert(list.name);
  draft.policy.lists.push_back(std::move(list));
}

/// Whoever names a list as sources of an [[open]] does not mean to block them.
void decide_actions(Draft& draft) {
  const std::vector<std::string> named = source_lists(draft.policy);
  for (List& list : draft.policy.lists) {
    const bool left = draft.actionless_lists.contains(list.name);
    if (left && std::ranges::binary_search(named, list.name)) list.action = ListAction::open;
  }
}

}  // namespace

Table list_table() {
  return with_keys<List>(
      {.name = "list",
       .defines = "files of addresses to block or to allow",
       .max = kListsMax,
       .finish = decide_actions},
      {{{"name", "name", "needed", "for messages and `status`", "name = \"known-bad\""},
        [](ValueReader& in, const Value& value, List& list) { list.name = in.name(value); }},
       {{"file", "string", "needed", "a path; a relative one starts at the policy file's folder",
         "file = \"/etc/cloudron-fw/known-bad.txt\""},
        [](ValueReader& in, const Value& value, List& list) { list.file = in.file_name(value); }},
       {{"action", "`\"block\"`, `\"allow\"` or `\"open\"`",
         "`\"open\"` if an [`[[open]]`](#open) names the list, else `\"block\"`",
         "what happens to the addresses"},
        [](ValueReader& in, const Value& value, List& list) {
          in.choose(value, kActions, list.action);
        }}},
      read_list);
}

}  // namespace fw
