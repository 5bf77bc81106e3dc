// Owners of libnftnl's and libmnl's objects.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

// clang-format off: before libnetfilter_conntrack, which brings an older copy under the same guard
#include <linux/netfilter/nfnetlink.h>
// clang-format on
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

namespace chains {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

using TableHandle = std::unique_ptr<nftnl_table, FreeWith<nftnl_table_free>>;
using ChainHandle = std::unique_ptr<nftnl_chain, FreeWith<nftnl_chain_free>>;
using RuleHandle = std::unique_ptr<nftnl_rule, FreeWith<nftnl_rule_free>>;
using SetHandle = std::unique_ptr<nftnl_set, FreeWith<nftnl_set_free>>;
using ObjectHandle = std::unique_ptr<nftnl_obj, FreeWith<nftnl_obj_free>>;
using UdataHandle = std::unique_ptr<nftnl_udata_buf, FreeWith<nftnl_udata_buf_free>>;
using SocketHandle = std::unique_ptr<mnl_socket, FreeWith<mnl_socket_close>>;

}  // namespace chains
