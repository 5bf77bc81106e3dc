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

#include "fw/base/handle.hpp"

namespace chains {

using TableHandle = std::unique_ptr<nftnl_table, fw::FreeWith<nftnl_table_free>>;
using ChainHandle = std::unique_ptr<nftnl_chain, fw::FreeWith<nftnl_chain_free>>;
using RuleHandle = std::unique_ptr<nftnl_rule, fw::FreeWith<nftnl_rule_free>>;
using SetHandle = std::unique_ptr<nftnl_set, fw::FreeWith<nftnl_set_free>>;
using ObjectHandle = std::unique_ptr<nftnl_obj, fw::FreeWith<nftnl_obj_free>>;
using UdataHandle = std::unique_ptr<nftnl_udata_buf, fw::FreeWith<nftnl_udata_buf_free>>;
using SocketHandle = std::unique_ptr<mnl_socket, fw::FreeWith<mnl_socket_close>>;

}  // namespace chains
