// Network namespaces without a name: they end with the test, however it ends.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <utility>

#include "tests/lab/base.hpp"

namespace lab {

class Namespace {
 public:
  /// A new namespace with its loopback up. Fails with what is needed when there can be none.
  Namespace();
  /// One of somebody else's, by its path.
  explicit Namespace(const std::string& path);

  /// Does something inside; the calling thread is back where it was afterwards. Sockets that are
  /// opened inside stay there.
  template <class F>
  auto in(F&& f) const {
    const Inside inside(*this);
    return std::forward<F>(f)();
  }

  /// For programs that take a namespace by path (ip link ... netns PATH).
  std::string path() const;
  int fd() const { return fd_.get(); }

  /// Writes /proc/sys/net/NAME.
  void sysctl(const std::string& name, const std::string& value) const;
  std::string sysctl(const std::string& name) const;

  /// Moves the calling thread for its own lifetime.
  class Inside {
   public:
    explicit Inside(const Namespace& there);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Fd back_;
  };

 private:
  Fd fd_;
};

}  // namespace lab
