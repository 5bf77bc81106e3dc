// Walking netlink messages and attributes from C++ (libmnl's loop macros are C).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <libmnl/libmnl.h>

namespace chains {

/// Is all of the message among the bytes that are left? As mnl_nlmsg_ok, which takes a length of
/// 2 GiB and more for a negative one.
inline bool message_fits(const nlmsghdr* message, int left) {
  return mnl_nlmsg_ok(message, left) && message->nlmsg_len <= static_cast<std::uint32_t>(left);
}

/// The messages that one receive call got, for a range-based for loop. Ends before one that is not
/// whole.
class Messages {
 public:
  /// `size`: what the call returned; below zero there are none.
  template <class Size>
  Messages(const void* bytes, Size size)
      : first_(static_cast<const nlmsghdr*>(bytes)), size_(static_cast<int>(size)) {}

  struct End {};
  class Iterator {
   public:
    Iterator(const nlmsghdr* at, int left) : at_(at), left_(left) {}
    const nlmsghdr* operator*() const { return at_; }
    Iterator& operator++() {
      at_ = mnl_nlmsg_next(at_, &left_);
      return *this;
    }
    bool operator!=(End) const { return message_fits(at_, left_); }

   private:
    const nlmsghdr* at_;
    int left_;
  };
  Iterator begin() const { return {first_, size_}; }
  End end() const { return {}; }

 private:
  const nlmsghdr* first_;
  int size_;
};

/// The errno of an NLMSG_ERROR; 0: what was asked for is done.
inline int error_of(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return EBADMSG;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
}

/// What an attribute holds, as it came; zero where it is not as long as that.
template <class T>
T value_of(const nlattr* attribute) {
  T value{};
  if (mnl_attr_get_payload_len(attribute) == sizeof value) {
    std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
  }
  return value;
}

/// Calls on(attribute) for every attribute that follows `offset` bytes of the message's payload.
template <class On>
void for_each_attribute(const nlmsghdr* message, std::size_t offset, const On& on) {
  const auto* at = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, offset));
  const auto* const end = reinterpret_cast<const char*>(message) + message->nlmsg_len;
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
