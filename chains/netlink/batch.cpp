// A transaction as the bytes of one netlink batch.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/batch.hpp"

#include <cassert>
#include <cstring>
#include <new>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "chains/netlink/family.hpp"

namespace chains {
namespace {

constexpr std::size_t kPieceBytes = 512 * 1024;
constexpr std::size_t kMessageRoom = 68 * 1024;
static_assert(kMessageRoom > 65'535 + 1024, "a nested attribute may be 64 KiB");

}  // namespace

Batch::Batch(std::uint32_t generation) { frame(NFNL_MSG_BATCH_BEGIN, generation); }

void Batch::set_generation(std::uint32_t generation) {
  const std::uint32_t value = htonl(generation);
  std::memcpy(mnl_attr_get_payload(generation_), &value, sizeof value);
}

std::uint32_t Batch::generation() const { return ntohl(mnl_attr_get_u32(generation_)); }

char* Batch::room(std::size_t bytes) {
  if (pieces_.empty() || pieces_.back().used + bytes > kPieceBytes) {
    // Fresh pages are zero already, which calloc knows.
    auto* const memory = static_cast<char*>(std::calloc(kPieceBytes, 1));
    if (memory == nullptr) throw std::bad_alloc();
    pieces_.push_back({std::unique_ptr<char[], Free>(memory), 0});
  }
  return pieces_.back().memory.get() + pieces_.back().used;
}

void Batch::frame(std::uint16_t type, std::uint32_t generation) {
  nlmsghdr* header = mnl_nlmsg_put_header(room(kMessageRoom));
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST;
  header->nlmsg_seq = sequence_++;
  auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  nfg->nfgen_family = AF_UNSPEC;
  nfg->version = NFNETLINK_V0;
  nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
  if (type == NFNL_MSG_BATCH_BEGIN) {
    generation_ = static_cast<nlattr*>(mnl_nlmsg_get_payload_tail(header));
    mnl_attr_put_u32(header, NFNL_BATCH_GENID, htonl(generation));
  }
  pieces_.back().used += header->nlmsg_len;
}

nlmsghdr* Batch::begin(std::uint16_t type, std::uint16_t flags, Origin origin, Table table) {
  assert(open_ == nullptr);
  open_ = mnl_nlmsg_put_header(room(kMessageRoom));
  open_->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
  open_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  open_->nlmsg_seq = sequence_++;
  auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(open_, sizeof(nfgenmsg)));
  nfg->nfgen_family = family_of(table);
  nfg->version = NFNETLINK_V0;
  nfg->res_id = 0;
  origins_.push_back(std::move(origin));
  return open_;
}

void Batch::end() {
  assert(open_ != nullptr);
  pieces_.back().used += MNL_ALIGN(open_->nlmsg_len);
  last_ = open_;
  open_ = nullptr;
}

void Batch::finish() {
  if (last_ != nullptr) last_->nlmsg_flags |= NLM_F_ACK;
  frame(NFNL_MSG_BATCH_END, 0);
}

std::vector<iovec> Batch::pieces() const {
  std::vector<iovec> out;
  for (const Piece& piece : pieces_) out.push_back({piece.memory.get(), piece.used});
  return out;
}

std::size_t Batch::size() const {
  std::size_t bytes = 0;
  for (const Piece& piece : pieces_) bytes += piece.used;
  return bytes;
}

const Origin* Batch::origin(std::uint32_t sequence) const {
  const std::uint32_t index = sequence - first_sequence_ - 1;  // the frame came first
  return index < origins_.size() ? &origins_[index] : nullptr;
}

}  // namespace chains
