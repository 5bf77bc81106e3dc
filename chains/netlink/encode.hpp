// Plans and element streams into the messages of a batch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chains/diff.hpp"
#include "chains/netlink/batch.hpp"
#include "fw/base/address.hpp"

namespace chains {

/// Appends a plan's removals, then its additions. Content for managed sets goes between encode()
/// and Batch::finish(), with ElementStream.
void encode(const Plan& plan, Batch& batch);

/// Removes one of our tables with everything in it.
void encode_remove_table(Table table, Batch& batch);

/// Makes the stand-in, in place of another if it replaces one. Its owner is the socket that commits
/// it: nobody else can change or remove it ("flush ruleset" passes it by), and it goes with the
/// socket.
void encode_stand_in(const Ruleset& rules, bool replaces, Batch& batch);

/// One message that removes all elements of a set.
void encode_flush_set(const std::string& set, Batch& batch);

/// Adds a version of the blocks, with a note on it.
void encode_block_version(std::uint64_t generation, const std::string& note, Batch& batch);

/// Adds flows to those that are older than the rules.
void encode_adopted(const std::vector<std::uint32_t>& ids, Batch& batch);

/// Appends elements of a set of addresses, millions if need be: 16 bytes for an IPv4 address, 40
/// for an IPv4 range. Ascending order is cheapest for the kernel.
class ElementStream {
 public:
  enum class Do { add, remove };
  ElementStream(Batch& batch, Do what, std::string set, fw::Family family, bool interval);
  ~ElementStream();
  ElementStream(const ElementStream&) = delete;
  ElementStream& operator=(const ElementStream&) = delete;

  /// `timeout` absent: the element stays. first == last in a set without intervals.
  void put(fw::U128 first, fw::U128 last,
           std::optional<std::chrono::milliseconds> timeout = std::nullopt);

 private:
  void open();
  void close();
  void element(fw::U128 key, bool end, std::optional<std::chrono::milliseconds> timeout);

  Batch& batch_;
  Do do_;
  std::string set_;
  fw::Family family_;
  bool interval_;
  nlmsghdr* message_ = nullptr;
  void* list_ = nullptr;
};

/// The kind of a private note in a rule's userdata, beside nft's comment: the policy location.
inline constexpr std::uint8_t kUdataLocation = 0x43;

}  // namespace chains
