// Captures that are written here byte by byte, in every form that is read.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fstream>
#include <functional>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "fw/capture/captures.hpp"
#include "fw/capture/decode.hpp"
#include "tests/unit/samples.hpp"

namespace capture {
namespace {

using fw::Family;
using fw::Ip;

/// Bytes, appended.
class Bytes {
 public:
  std::string text;

  Bytes& u8(unsigned value) { return add(value, 1, false); }
  Bytes& be16(unsigned value) { return add(value, 2, true); }
  Bytes& be32(std::uint32_t value) { return add(value, 4, true); }
  Bytes& u16(unsigned value, bool big) { return add(value, 2, big); }
  Bytes& u32(std::uint32_t value, bool big) { return add(value, 4, big); }
  Bytes& more(const std::string& bytes) {
    text += bytes;
    return *this;
  }
  Bytes& zeros(std::size_t n) { return more(std::string(n, '\0')); }

 private:
  Bytes& add(std::uint64_t value, int size, bool big) {
    for (int i = 0; i < size; ++i) {
      const int shift = 8 * (big ? size - 1 - i : i);
      text += static_cast<char>(value >> shift & 0xff);
    }
    return *this;
  }
};

std::string tcp(unsigned from, unsigned to, unsigned flags) {
  return Bytes().be16(from).be16(to).be32(1).be32(2).u8(0x50).u8(flags).be16(1000).zeros(4).text;
}
std::string udp(unsigned from, unsigned to) {
  return Bytes().be16(from).be16(to).be16(8).be16(0).text;
}

std::string ip4(unsigned protocol, const std::string& payload, unsigned fragment = 0,
                unsigned option_words = 0) {
  const auto header = 20 + 4 * option_words;
  Bytes b;
  b.u8(0x45 + option_words).u8(0).be16(header + static_cast<unsigned>(payload.size()));
  b.be16(7).be16(fragment).u8(64).u8(protocol).be16(0);
  b.be32(0xc6120001).be32(0xcb007101);  // 198.18.0.1 to 203.0.113.1
  return b.zeros(4 * option_words).more(payload).text;
}

std::string ip6(unsigned next, const std::string& payload) {
  Bytes b;
  b.be32(0x60000000).be16(static_cast<unsigned>(payload.size())).u8(next).u8(64);
  b.be32(0x20010db8).zeros(11).u8(2);
  b.be32(0x20010db8).zeros(11).u8(1);
  return b.more(payload).text;
}

std::string ethernet(unsigned type, const std::string& payload) {
  return Bytes().zeros(12).be16(type).more(payload).text;
}

const std::string kSyn = ip4(6, tcp(1000, 443, 2));
const std::string kSyn6 = ip6(6, tcp(1000, 443, 2));

Packet syn(Family family) {
  Packet p;
  p.source = *fw::parse_ip(family == Family::ipv4 ? "198.18.0.1" : "2001:db8::2");
  p.destination = *fw::parse_ip(family == Family::ipv4 ? "203.0.113.1" : "2001:db8::1");
  p.source_port = 1000;
  p.destination_port = 443;
  p.sequence = 1;
  p.acknowledged = 2;
  p.protocol = 6;
  p.tcp_flags = 2;
  return p;
}

std::pair<Decoded, Packet> decoded(LinkType link, const std::string& frame) {
  // Of its own size on the heap: what reads behind the end is seen.
  const std::vector<std::uint8_t> bytes(frame.begin(), frame.end());
  Packet packet;
  const Decoded what = decode(link, bytes, packet);
  return {what, packet};
}

TEST(Decode, EveryLinkType) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const bool v4 = family == Family::ipv4;
    const unsigned type = v4 ? 0x0800 : 0x86dd;
    const std::string& packet = v4 ? kSyn : kSyn6;
    Packet expected = syn(family);
    EXPECT_EQ(decoded(LinkType::raw, packet), std::pair(Decoded::packet, expected));
    EXPECT_EQ(decoded(LinkType::null, Bytes().zeros(4).more(packet).text).second, expected);
    EXPECT_EQ(decoded(LinkType::ethernet, ethernet(type, packet)).second, expected);
    std::string tagged = packet;
    unsigned inner = type;
    for (const unsigned tag : {0x8100, 0x88a8, 0x8100}) {
      tagged = Bytes().be16(5).be16(inner).more(tagged).text;
      inner = tag;
      EXPECT_EQ(decoded(LinkType::ethernet, ethernet(inner, tagged)).second, expected);
    }
    for (const auto& [number, direction] : {std::pair{0u, Direction::incoming},
                                            {4u, Direction::outgoing},
                                            {1u, Direction::foreign},
                                            {3u, Direction::foreign}}) {
      expected.direction = direction;
      EXPECT_EQ(
          decoded(LinkType::cooked, Bytes().be16(number).zeros(12).be16(type).more(packet).text)
              .second,
          expected);
      EXPECT_EQ(decoded(LinkType::cooked2,
                        Bytes().be16(type).zeros(8).u8(number).zeros(9).more(packet).text)
                    .second,
                expected);
      EXPECT_EQ(
          decoded(LinkType::cooked2,
                  Bytes().be16(0x8100).zeros(8).u8(number).zeros(9).more(tagged.substr(8)).text)
              .second,
          expected);
    }
  }
  EXPECT_EQ(decoded(LinkType::ethernet, ethernet(0x0806, std::string(28, '\0'))).first,
            Decoded::not_ip);
}

TEST(Decode, FragmentsOptionsAndExtensions) {
  EXPECT_EQ(decoded(LinkType::raw, ip4(6, tcp(1000, 443, 2), 0, 10)).second, syn(Family::ipv4));
  EXPECT_TRUE(decoded(LinkType::raw, ip4(17, udp(1, 2), 0x2000)).second.complete) << "the first";
  const Packet later = decoded(LinkType::raw, ip4(17, udp(1, 2), 0x2001)).second;
  EXPECT_FALSE(later.complete);
  EXPECT_EQ(later.source_port, 0);

  auto before = [](unsigned next, unsigned words, const std::string& rest) {
    return Bytes().u8(next).u8(words).zeros(6 + 8 * words).more(rest).text;
  };
  const std::string segment = tcp(1000, 443, 2);
  const std::string chain =
      before(43, 0, before(60, 2, before(51, 0, Bytes().u8(6).u8(0).zeros(6).more(segment).text)));
  EXPECT_EQ(decoded(LinkType::raw, ip6(0, chain)).second, syn(Family::ipv6));
  auto fragment = [&](unsigned offset) {
    return ip6(44, Bytes().u8(6).u8(0).be16(offset << 3 | 1).zeros(4).more(segment).text);
  };
  EXPECT_EQ(decoded(LinkType::raw, fragment(0)).second, syn(Family::ipv6));
  EXPECT_FALSE(decoded(LinkType::raw, fragment(1)).second.complete);
  EXPECT_EQ(decoded(LinkType::raw, fragment(1)).second.protocol, 6);

  const Packet echo = decoded(LinkType::raw, ip6(58, Bytes().u8(128).zeros(7).text)).second;
  EXPECT_EQ(echo.icmp_type, 128);
  EXPECT_TRUE(echo.complete);
}

TEST(Decode, WhatASynCarriesBeyondTheHandshake) {
  const auto syn_with = [](const std::string& options, const std::string& data) {
    const auto words = 5 + static_cast<unsigned>(options.size()) / 4;
    return Bytes()
        .be16(1000)
        .be16(443)
        .be32(1)
        .be32(2)
        .u8(words << 4)
        .u8(2)
        .be16(1000)
        .zeros(4)
        .more(options + data)
        .text;
  };
  const std::string cookie(
      "\x22\x0a"
      "cookie..\x01\x01",
      12);
  const std::string older("\xfe\x04\xf9\x89", 4);
  for (const bool v4 : {true, false}) {
    const auto wrap = [v4](const std::string& l4) { return v4 ? ip4(6, l4) : ip6(6, l4); };
    Packet p = decoded(LinkType::raw, wrap(syn_with(cookie + older + cookie, "data"))).second;
    EXPECT_EQ(p.fast_open, 2);
    EXPECT_EQ(p.experimental, 1);
    EXPECT_EQ(p.payload, 4u);
    // A capture may hold the first bytes only.
    const std::string whole = wrap(syn_with(cookie, std::string(100, 'x')));
    p = decoded(LinkType::raw, whole.substr(0, whole.size() - 80)).second;
    EXPECT_EQ(p.fast_open, 1);
    EXPECT_EQ(p.payload, 100u);
    // A length that leads behind the header ends the options.
    p = decoded(LinkType::raw, wrap(syn_with(std::string("\x01\x22\x09\x00", 4), ""))).second;
    EXPECT_EQ(p.fast_open, 0);
    EXPECT_EQ(p.payload, 0u);
  }
}

TEST(Decode, ContradictionsAreMalformed) {
  EXPECT_EQ(decoded(LinkType::raw, "\x41" + kSyn.substr(1)).first, Decoded::malformed)
      << "a header of 4 bytes";
  EXPECT_EQ(decoded(LinkType::raw, Bytes().u8(0x45).u8(0).be16(19).more(kSyn.substr(4)).text).first,
            Decoded::malformed)
      << "shorter than its header";
  EXPECT_EQ(decoded(LinkType::ethernet, ethernet(0x86dd, kSyn)).first, Decoded::malformed);
  EXPECT_EQ(decoded(LinkType::raw, ip6(0, Bytes().u8(6).u8(255).zeros(30).text)).first,
            Decoded::malformed)
      << "an extension longer than the packet";
}

TEST(Decode, CutOffAnywhere) {
  const std::string whole4 = ethernet(0x0800, ip4(6, tcp(1000, 443, 2), 0, 3));
  const std::string whole6 =
      ethernet(0x86dd, ip6(0, Bytes().u8(6).u8(0).zeros(6).more(tcp(1000, 443, 2)).text));
  for (const std::string& whole : {whole4, whole6}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto [what, packet] = decoded(LinkType::ethernet, whole.substr(0, size));
      const bool shown = what == Decoded::packet && packet.complete;
      EXPECT_EQ(shown, size >= whole.size() - 6) << size;  // up to the flags
    }
  }
}

TEST(Decode, CutOffInsideOptions) {
  for (const std::string& whole :
       {ip4(6, tcp(1000, 443, 2), 0, 10),
        ip6(0, Bytes().u8(6).u8(4).zeros(38).more(tcp(1000, 443, 2)).text)}) {
    const std::size_t fixed = whole[0] == 0x60 ? 40 : 20;
    for (std::size_t size = fixed; size < fixed + 40; ++size) {
      const auto [what, packet] = decoded(LinkType::raw, whole.substr(0, size));
      EXPECT_EQ(what, Decoded::packet) << size;
      EXPECT_FALSE(packet.complete) << size;
      EXPECT_EQ(packet.source, syn(packet.source.family).source) << size;
    }
  }
}

TEST(Decode, CookedFramesOfOtherDevices) {
  for (const unsigned hardware : {824u, 770u, 803u}) {
    const std::string one = Bytes().be16(0).be16(hardware).zeros(10).be16(0x800).more(kSyn).text;
    EXPECT_EQ(decoded(LinkType::cooked, one).first, Decoded::not_ip);
    const std::string two = Bytes().be16(0x800).zeros(6).be16(hardware).zeros(10).more(kSyn).text;
    EXPECT_EQ(decoded(LinkType::cooked2, two).first, Decoded::not_ip);
  }
}

// ---- files

enum class Form { micro, nano, swapped, pcapng, swapped_pcapng };

std::string block(std::uint32_t type, const std::string& body, bool big) {
  const auto size = static_cast<std::uint32_t>(12 + body.size());
  return Bytes().u32(type, big).u32(size, big).more(body).u32(size, big).text;
}

constexpr std::uint64_t kBeginMs = 1'700'000'000'000;

/// A capture of frames, a millisecond apart, or at the times that are given, in ms since 1970.
std::string capture_of(Form form, int link, const std::vector<std::string>& frames,
                       const std::vector<std::uint64_t>& times = {}) {
  const bool big = form == Form::swapped || form == Form::swapped_pcapng;
  const auto number = static_cast<std::uint32_t>(link);
  Bytes out;
  if (form == Form::pcapng || form == Form::swapped_pcapng) {
    out.more(
        block(0x0a0d0d0a,
              Bytes().u32(0x1a2b3c4d, big).u16(1, big).u16(0, big).u32(~0u, big).u32(~0u, big).text,
              big));
    // Two devices, the second in nanoseconds (if_tsresol 9).
    out.more(block(1, Bytes().u16(number, big).u16(0, big).u32(0, big).text, big));
    out.more(block(1,
                   Bytes()
                       .u16(number, big)
                       .u16(0, big)
                       .u32(0, big)
                       .u16(9, big)
                       .u16(1, big)
                       .u8(9)
                       .zeros(3)
                       .zeros(4)
                       .text,
                   big));
  } else {
    out.u32(form == Form::nano ? 0xa1b23c4d : 0xa1b2c3d4, big).u16(2, big).u16(4, big);
    out.zeros(8).u32(262'144, big).u32(number, big);
  }
  std::uint64_t ms = kBeginMs;
  std::uint32_t device = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::string& frame = frames[i];
    if (!times.empty()) ms = times[i];
    const auto size = static_cast<std::uint32_t>(frame.size());
    if (form == Form::pcapng || form == Form::swapped_pcapng) {
      const std::uint64_t stamp = ms * (device == 0 ? 1000 : 1'000'000);
      Bytes body;
      body.u32(device, big).u32(static_cast<std::uint32_t>(stamp >> 32), big);
      body.u32(static_cast<std::uint32_t>(stamp), big).u32(size, big).u32(size, big).more(frame);
      out.more(block(6, body.zeros((4 - frame.size() % 4) % 4).text, big));
      device = 1 - device;
    } else {
      out.u32(static_cast<std::uint32_t>(ms / 1000), big);
      out.u32(static_cast<std::uint32_t>(ms % 1000) * (form == Form::nano ? 1'000'000 : 1000), big);
      out.u32(size, big).u32(size, big).more(frame);
    }
    ++ms;
  }
  return out.text;
}

class Files : public testing::Test {
 protected:
  Files() {
    char name[] = "/tmp/capture_test.XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Files() override {
    for (const std::string& path : paths_) unlink(path.c_str());
    rmdir(folder_.c_str());
  }
  std::string file(const std::string& content) {
    paths_.push_back(folder_ + "/" + std::to_string(paths_.size()));
    std::ofstream(paths_.back(), std::ios::binary) << content;
    return paths_.back();
  }
  struct Read {
    std::vector<Packet> packets;
    std::string problem;  ///< why it could not be opened, or ended early
    Reader::Counts counts;
  };
  static Read read(const std::string& path) {
    auto reader = Reader::open(path);
    if (!reader) return {{}, to_string(reader.error()), {}};
    Read out;
    std::vector<Packet> some(3);
    while (const std::size_t n = reader->read(some)) {
      out.packets.insert(out.packets.end(), some.begin(),
                         some.begin() + static_cast<std::ptrdiff_t>(n));
    }
    if (reader->broken()) out.problem = to_string(*reader->broken());
    out.counts = reader->counts();
    EXPECT_EQ(reader->read(some), 0u);
    return out;
  }
  static void expect_both(const Read& read) {
    EXPECT_EQ(read.problem, "");
    ASSERT_EQ(read.packets.size(), 2u);
    Packet first = syn(Family::ipv4);
    first.time = 1'700'000'000'000'000'000;
    EXPECT_EQ(read.packets[0], first);
    Packet second = syn(Family::ipv6);
    second.time = first.time + 2'000'000;
    EXPECT_EQ(read.packets[1], second);
    EXPECT_EQ(read.counts.frames, 3u);
    EXPECT_EQ(read.counts.not_ip, 1u);
  }

  const std::vector<std::string> frames_{
      ethernet(0x0800, kSyn), ethernet(0x0806, std::string(28, '\0')), ethernet(0x86dd, kSyn6)};

 private:
  std::string folder_;
  std::vector<std::string> paths_;
};

constexpr Form kForms[] = {Form::micro, Form::nano, Form::swapped, Form::pcapng,
                           Form::swapped_pcapng};

std::string gzipped(const std::string& text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstandard(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

TEST_F(Files, EveryForm) {
  for (const Form form : kForms) {
    const std::string name = std::to_string(static_cast<int>(form));
    SCOPED_TRACE(name);
    const std::string bytes = capture_of(form, 1, frames_);
    expect_both(read(file(bytes)));
    for (const auto& sample : {bytes, gzipped(bytes), zstandard(bytes)})
      leave_sample("capture", sample);
  }
}

TEST_F(Files, Compressed) {
  for (const Form form : kForms) {
    const std::string plain = capture_of(form, 1, frames_);
    for (const auto& compress : {gzipped, zstandard}) {
      expect_both(read(file(compress(plain))));
      const std::string parts = compress(plain.substr(0, 50)) + compress(plain.substr(50));
      expect_both(read(file(parts)));
      const std::string short_of = parts.substr(0, parts.size() - 5);
      EXPECT_NE(read(file(short_of)).problem.find("data end early"), std::string::npos);
      std::string wrong = parts;
      for (std::size_t i = 20; i < wrong.size(); ++i) wrong[i] = static_cast<char>(wrong[i] ^ 0x55);
      EXPECT_NE(read(file(wrong)).problem, "");
    }
    expect_both(read(file(gzipped(plain) + std::string(512, '\0'))));
  }
}

TEST_F(Files, WhatComesBeforeCorruptDataIsRead) {
  std::vector<std::string> frames;
  std::mt19937 random(1);  // not to be compressed: several blocks of zstd
  for (int i = 0; i < 400; ++i) {
    std::string rest(1400, '\0');
    for (char& c : rest) c = static_cast<char>(random());
    frames.push_back(ethernet(0x0800, ip4(6, tcp(1000, 443, 2) + rest)));
  }
  const std::string plain = capture_of(Form::micro, 1, frames);
  for (const auto& compress : {gzipped, zstandard}) {
    std::string bytes = compress(plain);
    if (compress == gzipped) bytes[bytes.size() - 6] = static_cast<char>(~bytes[bytes.size() - 6]);
    if (compress == zstandard) bytes += "no frame";
    const Read damaged = read(file(bytes));
    EXPECT_NE(damaged.problem.find("data are corrupt"), std::string::npos) << damaged.problem;
    EXPECT_EQ(damaged.packets.size(), 400u);
  }
}

TEST_F(Files, StandardInputIsAPipe) {
  const std::string bytes = gzipped(capture_of(Form::micro, 1, frames_));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  close(ends[1]);
  const int before = dup(STDIN_FILENO);
  dup2(ends[0], STDIN_FILENO);
  expect_both(read("-"));
  dup2(before, STDIN_FILENO);
  close(before);
  close(ends[0]);
}

TEST_F(Files, CutOffAnywhereWhatComesBeforeIsRead) {
  for (const Form form : kForms) {
    const std::string whole = capture_of(form, 1, frames_);
    std::size_t most = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Read cut = read(file(whole.substr(0, size)));
      EXPECT_GE(cut.packets.size(), most) << size;
      most = cut.packets.size();
      const std::size_t frames = cut.counts.frames;
      if (!cut.problem.empty() && frames != 0) {
        EXPECT_NE(cut.problem.find("frame " + std::to_string(frames + 1) + ", byte "),
                  std::string::npos)
            << cut.problem;
      }
    }
    EXPECT_EQ(most, 1u);
  }
}

TEST_F(Files, WhatIsNoCaptureIsSaid) {
  EXPECT_NE(read("/nonexistent/file").problem.find("No such file"), std::string::npos);
  EXPECT_NE(read("/tmp").problem.find("is a folder"), std::string::npos);
  EXPECT_NE(read(file("")).problem.find("is empty"), std::string::npos);
  EXPECT_NE(read("/nonexistent/\x1b[31m").problem.find("\\u001b"), std::string::npos);
  EXPECT_NE(read(file("[ports]\ntcp = [22]\n")).problem.find("not a readable capture"),
            std::string::npos);
  EXPECT_NE(read(file(capture_of(Form::micro, 195, {}))).problem.find("link type 195 ("),
            std::string::npos);
  std::string huge = capture_of(Form::micro, 1, frames_);
  huge[24 + 8 + 3] = '\x7f';
  EXPECT_NE(read(file(huge)).problem.find("frame 1, byte 40"), std::string::npos)
      << "a frame of 2 GiB: " << read(file(huge)).problem;
}

TEST_F(Files, TimesLastUntil2106) {
  for (const Form form : {Form::micro, Form::nano, Form::swapped, Form::pcapng}) {
    const std::uint64_t ms = 4'200'000'000'000;
    const Read one = read(file(capture_of(form, 1, {ethernet(0x0800, kSyn)}, {ms})));
    ASSERT_EQ(one.packets.size(), 1u);
    EXPECT_EQ(one.packets[0].time, static_cast<std::int64_t>(ms) * 1'000'000);
  }
}

TEST_F(Files, AWindowThatIsTooLargeIsSaid) {
  const std::string text = capture_of(Form::micro, 1, frames_);
  std::string out(1 << 16, '\0');
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 31);
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  // Of unknown size: else the window is no larger than what there is.
  ZSTD_compressStream2(context, &to, &in, ZSTD_e_continue);
  ZSTD_compressStream2(context, &to, &in, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  EXPECT_NE(read(file(out.substr(0, to.pos))).problem.find("--long=31"), std::string::npos);
}

/// Every packet is there once, and those that are little out of order are in it.
TEST_F(Files, PacketsThatAreLittleOutOfOrderAreReadInIt) {
  std::mt19937_64 random(4);
  for (const std::size_t count : {1uz, 2uz, 63uz, 64uz, 65uz, 1023uz, 1024uz, 1025uz, 5000uz}) {
    std::vector<std::uint64_t> times;
    for (std::size_t i = 0; i < count; ++i) times.push_back(kBeginMs + i);
    for (std::size_t i = 0; i < count; i += 20) {
      const auto begin = times.begin() + static_cast<std::ptrdiff_t>(i);
      std::shuffle(begin, begin + static_cast<std::ptrdiff_t>(std::min(20uz, count - i)), random);
    }
    const std::vector<std::string> frames(count, ethernet(0x0800, kSyn));
    auto captures = Captures::open({file(capture_of(Form::micro, 1, frames, times))});
    ASSERT_TRUE(captures);
    std::vector<std::int64_t> read;
    for (auto some = captures->read(); !some.empty(); some = captures->read()) {
      for (const Packet& p : some) read.push_back(p.time / 1'000'000);
    }
    ASSERT_EQ(read.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(read[i], static_cast<std::int64_t>(kBeginMs + i)) << i << " of " << count;
    }
  }
}

/// What stands behind it is of another time, and stays there.
TEST_F(Files, AClockThatWasSetBackStaysSo) {
  const std::vector<std::string> frames(4, ethernet(0x0800, kSyn));
  const std::vector<std::uint64_t> times{kBeginMs, kBeginMs + 1, kBeginMs - 60'000,
                                         kBeginMs - 59'999};
  auto captures = Captures::open({file(capture_of(Form::micro, 1, frames, times))});
  ASSERT_TRUE(captures);
  std::vector<std::uint64_t> read;
  for (const Packet& p : captures->read()) {
    read.push_back(static_cast<std::uint64_t>(p.time) / 1'000'000);
  }
  EXPECT_EQ(read, times);
}

TEST_F(Files, SeveralAreOneInOrderOfTime) {
  std::vector<std::string> frames(20, ethernet(0x0800, kSyn));
  const std::string one = file(capture_of(Form::micro, 1, frames));
  const std::string other = file(capture_of(Form::pcapng, 1, frames));
  const std::string empty = file(capture_of(Form::nano, 1, {}));
  auto captures = Captures::open({other, empty, one});
  ASSERT_TRUE(captures);
  std::int64_t last = 0;
  std::size_t count = 0;
  for (auto some = captures->read(); !some.empty(); some = captures->read()) {
    for (const Packet& p : some) {
      EXPECT_GE(p.time, last);
      last = p.time;
      ++count;
    }
  }
  EXPECT_EQ(count, 40u);
  EXPECT_EQ(captures->counts().frames, 40u);
  EXPECT_EQ(captures->position(), captures->size());
  EXPECT_TRUE(captures->broken().empty());
  EXPECT_FALSE(Captures::open(std::vector<std::string>(300, one)));
}

}  // namespace
}  // namespace capture
