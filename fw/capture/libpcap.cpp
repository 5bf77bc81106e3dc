// libpcap, loaded when a capture is read.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/capture/libpcap.hpp"

#include <dlfcn.h>

namespace capture {

namespace {

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool load(Libpcap& pcap) {
  void* const library = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);
  return library != nullptr &&
         find(library, "pcap_fopen_offline_with_tstamp_precision", pcap.open) &&
         find(library, "pcap_close", pcap.close) && find(library, "pcap_next_ex", pcap.next) &&
         find(library, "pcap_geterr", pcap.error) &&
         find(library, "pcap_datalink", pcap.link_type) &&
         find(library, "pcap_datalink_val_to_name", pcap.link_name);
}

}  // namespace

fw::Result<const Libpcap*> libpcap() {
  static Libpcap pcap;
  static const bool loaded = load(pcap);
  if (loaded) return &pcap;
  return fw::fail(fw::ErrorCode::unsupported,
                  "reading captures needs libpcap, which is not installed (try: apt install "
                  "libpcap0.8)");
}

}  // namespace capture
