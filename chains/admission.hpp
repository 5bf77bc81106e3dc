// The decision about a flow, as bits of its connection label.
//
// Rules can set bits of a label and never clear one, and one entry of connection tracking can be
// several connections, one after the other, on the same ports. So each of them, each life of the
// entry, has bits of its own; a life is over when the next one begins, and only then.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "chains/expr.hpp"
#include "fw/base/limits.hpp"

namespace chains {

class Admission {
 public:
  /// Labels have 128 bits; fw::kLabelBits of them, from this one on, are ours.
  explicit Admission(int first_bit) : first_bit_(first_bit) {}

  int first_bit() const { return first_bit_; }

  /// Our rules have seen the flow's first packet, so its entry has room for the other bits.
  Bytes seen() const { return bits({0}); }
  /// A first packet came to what is not open, and was dropped.
  Bytes closed() const { return bits({1 + 6 * fw::kLives}); }
  /// Decided: admitted, or refused if that bit is set too. `life` counts from 0.
  Bytes counted(int life) const { return bits({at(life)}); }
  Bytes refused(int life) const { return bits({at(life) + 1}); }
  /// A SYN came after the decision.
  Bytes syn(int life) const { return bits({at(life) + 2}); }
  Bytes over(int life) const { return bits({at(life) + 3}); }
  /// The client has closed its side; the server has closed its own.
  Bytes client_closed(int life) const { return bits({at(life) + 4}); }
  Bytes server_closed(int life) const { return bits({at(life) + 5}); }
  /// Over because a SYN-ACK has begun the next, not by a reset, which may be forged: a life that is
  /// over has no other use for these bits.
  Bytes answered(int life) const { return bits({at(life) + 3, at(life) + 4, at(life) + 5}); }

  /// Is the flow with that label admitted?
  bool admits(const Bytes& label) const;
  /// Every bit of ours but `seen`; and all of ours.
  Bytes decisions() const;
  Bytes all() const;

 private:
  static int at(int life) { return 1 + 6 * life; }
  Bytes bits(std::initializer_list<int> which) const;

  int first_bit_;
};

/// Both masks together.
Bytes operator|(const Bytes& a, const Bytes& b);
/// Are all bits of `mask` in the label?
bool has_bits(const Bytes& label, const Bytes& mask);

static_assert(fw::kLabelBits == 2 + 6 * fw::kLives);

}  // namespace chains
