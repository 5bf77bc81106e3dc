// libpcap, loaded when a capture is read: linked, it would bring a dozen libraries into the start
// of every command.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <pcap/pcap.h>

#include "fw/base/result.hpp"

namespace capture {

/// Those of its functions that are needed.
struct Libpcap {
  decltype(&::pcap_fopen_offline_with_tstamp_precision) open = nullptr;
  decltype(&::pcap_close) close = nullptr;
  decltype(&::pcap_next_ex) next = nullptr;
  decltype(&::pcap_geterr) error = nullptr;
  decltype(&::pcap_datalink) link_type = nullptr;
  decltype(&::pcap_datalink_val_to_name) link_name = nullptr;
};

/// Loaded once. An error where it is not installed.
fw::Result<const Libpcap*> libpcap();

}  // namespace capture
