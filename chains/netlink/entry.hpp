// Entries of the connection tracking table as libnetfilter_conntrack's objects.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {

using EntryHandle = std::unique_ptr<nf_conntrack, fw::FreeWith<nfct_destroy>>;

/// From a message of the conntrack subsystem; null when it is malformed.
EntryHandle read_entry(const nlmsghdr* message);

/// What names this entry to the kernel and changes nothing of it: its original direction and its
/// zone. The id is not among it; see append_entry_id().
EntryHandle identity_of(const nf_conntrack& entry);

/// A TCP connection as seen by its remote end. Its original direction alone.
EntryHandle tcp_entry(const OpenConnection& connection);
/// The same with its answers, established and admitted by `label`. Window tracking is left liberal,
/// because the connection's past is unknown.
EntryHandle established_entry(const OpenConnection& connection, const Bytes& label);

/// Clears these bits of a label, and leaves its other bits alone.
void set_label_cleared(nf_conntrack& entry, const Bytes& bits);

/// Makes a message of an entry at `at`, which has room for kEntryBytesMax; `type` is an
/// IPCTNL_MSG_CT_...
inline constexpr std::size_t kEntryBytesMax = 1024;
nlmsghdr* put_entry(char* at, std::uint16_t type, int flags, const nf_conntrack& entry,
                    std::uint32_t sequence);
/// Appends what the library reads but never writes.
void append_entry_id(nlmsghdr* header, std::uint32_t id);

}  // namespace chains
