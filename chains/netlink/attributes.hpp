// Walking netlink attributes from C++ (libmnl's loop macros are C).
#pragma once

#include <libmnl/libmnl.h>

namespace chains {

/// Calls on(attribute) for every attribute that follows `offset` bytes of the message's payload.
template <class On>
void for_each_attribute(const nlmsghdr* message, std::size_t offset, const On& on) {
  const auto* at = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, offset));
  const auto* const end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  while (mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at)))) {
    on(at);
    at = mnl_attr_next(at);
  }
}

/// The same for the attributes nested in one.
template <class On>
void for_each_nested(const nlattr* outer, const On& on) {
  const auto* at = static_cast<const nlattr*>(mnl_attr_get_payload(outer));
  const char* const end =
      static_cast<const char*>(mnl_attr_get_payload(outer)) + mnl_attr_get_payload_len(outer);
  while (mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at)))) {
    on(at);
    at = mnl_attr_next(at);
  }
}

}  // namespace chains
