// What the attributes of netlink messages hold, to be changed in its place: the messages stay
// whole.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "chains/netlink/attributes.hpp"

/// Calls on(attribute) for each that holds no others.
template <class On>
void for_each_leaf(const nlattr* attribute, const On& on) {
  if ((attribute->nla_type & NLA_F_NESTED) == 0) return on(attribute);
  chains::for_each_nested(attribute, [&on](const nlattr* inner) { for_each_leaf(inner, on); });
}

/// Of those that hold no others, of messages of nfnetlink that follow one another.
inline std::vector<std::span<std::uint8_t>> attribute_values(std::uint8_t* data, std::size_t size) {
  std::vector<std::span<std::uint8_t>> out;
  auto left = static_cast<int>(size);
  for (auto* message = reinterpret_cast<const nlmsghdr*>(data); chains::message_fits(message, left);
       message = mnl_nlmsg_next(message, &left)) {
    chains::for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
      for_each_leaf(attribute, [&](const nlattr* leaf) {
        const auto at = static_cast<const std::uint8_t*>(mnl_attr_get_payload(leaf)) - data;
        if (mnl_attr_get_payload_len(leaf) > 0)
          out.emplace_back(data + at, mnl_attr_get_payload_len(leaf));
      });
    });
  }
  return out;
}
