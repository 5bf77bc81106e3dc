// Objects of C libraries that free themselves.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace fw {

/// For std::unique_ptr: frees with that function.
template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};

}  // namespace fw
