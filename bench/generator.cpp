// Makes packets inside the kernel: an XDP program that is run on live frames.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/generator.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kHeader4 = 20;
constexpr std::size_t kHeader6 = 40;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kTcp = 6;
constexpr std::size_t kUdpPayload = 18;  // the shortest Ethernet frame with IPv4

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

// ---- the packet ---------------------------------------------------------------------------------

void put8(std::vector<std::uint8_t>& to, unsigned value) {
  to.push_back(static_cast<std::uint8_t>(value));
}
void put16(std::vector<std::uint8_t>& to, unsigned value) {
  put8(to, value >> 8);
  put8(to, value);
}
void put32(std::vector<std::uint8_t>& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value);
}

/// The sum of 16-bit words as this machine loads them: a one's complement sum does not mind the
/// byte order as long as it is the same for all words and for the stored result.
std::uint32_t sum_words(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::array<std::uint8_t, 2> pair{bytes[i],
                                     i + 1 < bytes.size() ? bytes[i + 1] : std::uint8_t{}};
    std::uint16_t word = 0;
    std::memcpy(&word, pair.data(), 2);
    sum += word;
  }
  return (sum & 0xffff) + (sum >> 16);
}

struct Packet {
  std::vector<std::uint8_t> bytes;
  std::size_t source_at = 0;  ///< the changing word of the source address
  std::size_t port_at = 0;
  std::size_t header_checksum_at = 0;  ///< IPv4 only
  std::size_t checksum_at = 0;
  std::uint32_t header_sum = 0;  ///< of what does not change
  std::uint32_t sum = 0;         ///< the same for TCP or UDP with its pseudo header
};

std::vector<std::uint8_t> transport(const Stream& stream) {
  std::vector<std::uint8_t> out;
  put16(out, 0);  // the source port changes
  put16(out, stream.destination_port);
  if (!stream.tcp) {
    put16(out, 8 + kUdpPayload);
    put16(out, 0);
    out.resize(8 + kUdpPayload, 'x');
    return out;
  }
  const bool syn = (stream.tcp_flags & kTcpSyn) != 0;
  put32(out, stream.sequence);
  put32(out, stream.acknowledgment);
  put8(out, (syn ? 10U : 5U) << 4);
  put8(out, stream.tcp_flags);
  put16(out, 502);
  put16(out, 0);
  put16(out, 0);
  if (syn) {
    // What Linux sends: MSS, SACK permitted, timestamps, window scale.
    put32(out, 0x020405b4);
    put16(out, 0x0402);
    put16(out, 0x080a);
    put32(out, 0x12345678);
    put32(out, 0);
    put32(out, 0x01030307);
  }
  return out;
}

Packet build(const Stream& stream, const NamespacePair& pair) {
  const bool ip4 = stream.family == Family::ip4;
  const std::vector<std::uint8_t> payload = transport(stream);
  const std::uint8_t protocol = stream.tcp ? kTcp : kUdp;
  Packet packet;
  auto& out = packet.bytes;
  out.insert(out.end(), pair.host_mac.begin(), pair.host_mac.end());
  out.insert(out.end(), pair.sender_mac.begin(), pair.sender_mac.end());
  put16(out, ip4 ? 0x0800 : 0x86dd);

  std::vector<std::uint8_t> source = stream.source;
  const std::size_t word_at = ip4 ? 2 : 6;
  source[word_at] = source[word_at + 1] = 0;
  if (ip4) {
    put16(out, 0x4500);
    put16(out, static_cast<unsigned>(kHeader4 + payload.size()));
    put32(out, 0x00004000);  // no ID, do not fragment
    put8(out, 64);
    put8(out, protocol);
    put16(out, 0);
  } else {
    put32(out, 0x60000000);
    put16(out, static_cast<unsigned>(payload.size()));
    put8(out, protocol);
    put8(out, 64);
  }
  packet.source_at = out.size() + word_at;
  out.insert(out.end(), source.begin(), source.end());
  out.insert(out.end(), stream.destination.begin(), stream.destination.end());
  const std::size_t transport_at = out.size();
  out.insert(out.end(), payload.begin(), payload.end());
  packet.port_at = transport_at;
  packet.checksum_at = transport_at + (stream.tcp ? 16 : 6);

  if (ip4) {
    packet.header_checksum_at = kEthernet + 10;
    packet.header_sum = sum_words(std::span(out).subspan(kEthernet, kHeader4));
  }
  std::vector<std::uint8_t> pseudo;
  put16(pseudo, protocol);
  put16(pseudo, static_cast<unsigned>(payload.size()));
  packet.sum =
      sum_words(source) + sum_words(stream.destination) + sum_words(pseudo) + sum_words(payload);
  return packet;
}

// ---- the program --------------------------------------------------------------------------------

/// Just enough of an assembler; registers are plain numbers.
class Program {
 public:
  void load(unsigned size, unsigned to, unsigned from, std::size_t offset) {
    add(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
  }
  void store(unsigned size, unsigned to, std::size_t offset, unsigned from) {
    add(BPF_STX | BPF_MEM | size, to, from, offset, 0);
  }
  void set(unsigned to, std::int64_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void copy(unsigned to, unsigned from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void with(unsigned operation, unsigned to, std::int64_t value) {
    add(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
  }
  void with_register(unsigned operation, unsigned to, unsigned from) {
    add(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
  }
  void to_network16(unsigned to) { add(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, 16); }
  void map_value(unsigned to, int map) {
    add(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_VALUE, 0, map);
    add(0, 0, 0, 0, 0);  // the offset in the value
  }
  /// A jump over the next `over` instructions.
  void jump(unsigned condition, unsigned left, unsigned right, std::size_t over) {
    add(BPF_JMP | condition | BPF_X, left, right, over, 0);
  }
  void jump_if(unsigned condition, unsigned left, std::int64_t right, std::size_t over) {
    add(BPF_JMP | condition | BPF_K, left, 0, over, right);
  }
  void leave(std::int64_t verdict) {
    set(0, verdict);
    add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  /// The Internet checksum of a sum below 2^32.
  void checksum(unsigned sum, unsigned scratch) {
    for (int twice = 0; twice < 2; ++twice) {
      copy(scratch, sum);
      with(BPF_RSH, scratch, 16);
      with(BPF_AND, sum, 0xffff);
      with_register(BPF_ADD, sum, scratch);
    }
    with(BPF_XOR, sum, 0xffff);
  }

  Fd load_xdp() const {
    std::array<char, 8192> log{};
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.insns = reinterpret_cast<std::uintptr_t>(code_.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(code_.size());
    attributes.license = reinterpret_cast<std::uintptr_t>("GPL");
    attributes.log_buf = reinterpret_cast<std::uintptr_t>(log.data());
    attributes.log_size = log.size();
    attributes.log_level = 1;
    const long fd = bpf(BPF_PROG_LOAD, attributes);
    if (fd < 0) fail(fmt::format("cannot load the XDP program\n{}", log.data()));
    return Fd(static_cast<int>(fd));
  }

 private:
  void add(unsigned code, unsigned to, unsigned from, std::size_t offset, std::int64_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = to & 0xf;
    instruction.src_reg = from & 0xf;
    instruction.off = static_cast<std::int16_t>(offset);
    instruction.imm = static_cast<std::int32_t>(value);
    code_.push_back(instruction);
  }

  std::vector<bpf_insn> code_;
};

Fd make_counter() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 8;
  attributes.max_entries = 1;
  const long fd = bpf(BPF_MAP_CREATE, attributes);
  if (fd < 0) fail("cannot create a BPF map");
  return Fd(static_cast<int>(fd));
}

/// Frames are recycled and keep what the program and the host wrote to them, so everything that
/// changes is written from the packet's number and from constants, never from the packet.
Fd load_program(const Stream& stream, const Packet& packet, int counter) {
  constexpr unsigned context = 1, data = 2, end = 3, scratch = 4, value = 5, sum = 6, map = 7,
                     number = 8;
  Program program;
  program.load(BPF_W, data, context, offsetof(xdp_md, data));
  program.load(BPF_W, end, context, offsetof(xdp_md, data_end));
  program.copy(scratch, data);
  program.with(BPF_ADD, scratch, static_cast<std::int64_t>(packet.bytes.size()));
  program.jump(BPF_JLE, scratch, end, 2);
  program.leave(XDP_DROP);

  program.map_value(map, counter);
  program.load(BPF_DW, number, map, 0);
  program.copy(scratch, number);
  program.with(BPF_ADD, scratch, 1);
  program.store(BPF_DW, map, 0, scratch);

  program.copy(value, number);
  program.with(BPF_AND, value, stream.source_mask);
  program.with(BPF_LSH, value, stream.source_shift);
  program.with(BPF_ADD, value, stream.source_base);
  program.to_network16(value);
  program.store(BPF_H, data, packet.source_at, value);
  program.copy(sum, value);

  if (stream.family == Family::ip4) {
    program.with(BPF_ADD, value, packet.header_sum);
    program.checksum(value, scratch);
    program.store(BPF_H, data, packet.header_checksum_at, value);
  }

  program.copy(value, number);
  program.with(BPF_RSH, value, stream.port_skip);
  program.with(BPF_AND, value, stream.port_mask);
  program.with(BPF_ADD, value, stream.port_base);
  program.to_network16(value);
  program.store(BPF_H, data, packet.port_at, value);
  program.with_register(BPF_ADD, sum, value);
  program.with(BPF_ADD, sum, packet.sum);
  program.checksum(sum, scratch);
  if (!stream.tcp) {  // 0 would mean "no checksum"
    program.jump_if(BPF_JNE, sum, 0, 1);
    program.set(sum, 0xffff);
  }
  program.store(BPF_H, data, packet.checksum_at, sum);
  program.leave(XDP_TX);
  return program.load_xdp();
}

}  // namespace

Generator::Generator(const Stream& stream, const NamespacePair& pair)
    : sender_index_(pair.sender_index), counter_(make_counter()) {
  Packet packet = build(stream, pair);
  program_ = load_program(stream, packet, counter_.get());
  packet_ = std::move(packet.bytes);
}

std::uint32_t Generator::send(std::uint32_t count) {
  xdp_md context{};
  context.data_end = static_cast<std::uint32_t>(packet_.size());
  context.ingress_ifindex = static_cast<std::uint32_t>(sender_index_);
  bpf_attr attributes{};
  attributes.test.prog_fd = static_cast<std::uint32_t>(program_.get());
  attributes.test.data_in = reinterpret_cast<std::uintptr_t>(packet_.data());
  attributes.test.data_size_in = static_cast<std::uint32_t>(packet_.size());
  attributes.test.ctx_in = reinterpret_cast<std::uintptr_t>(&context);
  attributes.test.ctx_size_in = sizeof context;
  attributes.test.repeat = count;
  attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  attributes.test.batch_size = 64;  // one NAPI poll, and no more than the receiver's ring holds
  if (bpf(BPF_PROG_TEST_RUN, attributes) < 0) fail("cannot send live XDP frames");
  return attributes.test.duration;
}

Fd attach_xdp_drop(const NamespacePair& pair) {
  Program program;
  program.leave(XDP_DROP);
  const Fd loaded = program.load_xdp();
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(loaded.get());
  attributes.link_create.target_ifindex = static_cast<std::uint32_t>(pair.host_index);
  attributes.link_create.attach_type = BPF_XDP;
  attributes.link_create.flags = 1U << 2;  // XDP_FLAGS_DRV_MODE
  const long fd = bpf(BPF_LINK_CREATE, attributes);
  if (fd < 0) fail("cannot attach the XDP program");
  return Fd(static_cast<int>(fd));
}

}  // namespace bench
