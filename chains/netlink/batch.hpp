// A transaction as the bytes of one netlink batch, with an origin for every message.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <sys/uio.h>

#include "chains/ruleset.hpp"
#include "fw/base/result.hpp"

struct nlattr;
struct nlmsghdr;

namespace chains {

/// What a message is for: named when the kernel refuses it.
struct Origin {
  std::string what;  ///< "set 'ssh.slot4.1'"
  fw::Location where;
};

/// Messages in fixed-size pieces of memory: a batch of 16 MB costs 16 MB, never a copy.
class Batch {
 public:
  /// The kernel refuses the batch when its ruleset is not at this generation any more.
  explicit Batch(std::uint32_t generation);
  void set_generation(std::uint32_t generation);
  std::uint32_t generation() const;

  /// Starts a message with room for at least 64 KiB; valid until the next begin().
  /// `type` is a NFT_MSG_*; `flags` are NLM_F_* besides REQUEST.
  nlmsghdr* begin(std::uint16_t type, std::uint16_t flags, Origin origin,
                  Table table = Table::inet);
  void end();

  /// Closes the batch; the last message asks for an acknowledgement.
  void finish();

  std::vector<iovec> pieces() const;
  std::size_t size() const;  ///< bytes
  std::uint32_t messages() const { return static_cast<std::uint32_t>(origins_.size()); }
  std::uint32_t first_sequence() const { return first_sequence_; }
  /// Null for the batch's own frame messages.
  const Origin* origin(std::uint32_t sequence) const;

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  struct Piece {
    std::unique_ptr<char[], Free> memory;  ///< zero where nothing was written: padding, too
    std::size_t used = 0;
  };
  char* room(std::size_t bytes);
  void frame(std::uint16_t type, std::uint32_t generation);

  std::vector<Piece> pieces_;
  std::vector<Origin> origins_;
  nlattr* generation_ = nullptr;  ///< in the first piece
  nlmsghdr* open_ = nullptr;
  nlmsghdr* last_ = nullptr;
  std::uint32_t first_sequence_ = 1;
  std::uint32_t sequence_ = 1;
};

}  // namespace chains
