// Packets out of captures, through libpcap.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/capture/reader.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"
#include "fw/capture/decode.hpp"
#include "fw/capture/libpcap.hpp"
#include "fw/capture/stream.hpp"

namespace capture {

using fw::ErrorCode;

namespace {

constexpr const char* kRead = "supported are Ethernet, Linux cooked, raw IP and BSD loopback";

std::string name_of(const std::string& path) {
  return path == "-" ? "standard input" : fw::printable(path, path.size());
}

/// From 1970 to 2255, as far as 64 bits of nanoseconds go. The 32 bits of a pcap's seconds, which
/// libpcap takes for signed ones, last until 2106.
std::int64_t time_of(const pcap_pkthdr& header) {
  constexpr std::int64_t kSecondsMax = 9'000'000'000;
  constexpr std::int64_t k2038 = std::int64_t{1} << 31;
  std::int64_t seconds = header.ts.tv_sec;
  if (seconds < 0 && seconds >= -k2038) seconds += 2 * k2038;
  seconds = std::clamp<std::int64_t>(seconds, 0, kSecondsMax);
  const auto nanoseconds = std::clamp<std::int64_t>(header.ts.tv_usec, 0, 999'999'999);
  return seconds * 1'000'000'000 + nanoseconds;
}

}  // namespace

struct Reader::State {
  State(std::string n, Stream s, const Libpcap* l)
      : name(std::move(n)), stream(std::move(s)), lib(l) {}
  ~State() {
    if (pcap != nullptr) lib->close(pcap);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  fw::Result<void> begin();
  bool next(Packet& out);
  void end(int code);
  std::string where() const;

  std::string name;
  Stream stream;
  const Libpcap* lib;
  std::FILE* file = nullptr;  // pcap's own once that is open
  pcap_t* pcap = nullptr;
  LinkType link = LinkType::ethernet;
  bool over = false;
  Counts counts;
  std::optional<fw::Error> broken;
};

/// "frame 12, byte 3,456 of the decompressed data".
std::string Reader::State::where() const {
  return fmt::format("frame {}, byte {}", counts.frames + 1, std::max<off_t>(ftello(file), 0));
}

fw::Result<void> Reader::State::begin() {
  if (stream.is_empty()) {
    return fw::fail(ErrorCode::io, fmt::format("{} is empty", name));
  }
  file = stream.file();
  if (file == nullptr) {
    return fw::fail_errno(ErrorCode::memory, fmt::format("cannot read {}", name), errno);
  }
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  pcap = lib->open(file, PCAP_TSTAMP_PRECISION_NANO, why.data());
  if (pcap == nullptr) {
    std::fclose(file);
    const std::string reason =
        stream.problem().empty() ? fw::printable(why.data(), why.size()) : stream.problem();
    return fw::fail(ErrorCode::io,
                    fmt::format("{} is not a readable capture (pcap or pcapng, as tcpdump "
                                "-w writes it): {}",
                                name, reason));
  }
  const int number = lib->link_type(pcap);
  const auto type = link_type(number);
  if (type) {
    link = *type;
    return {};
  }
  const char* const known = lib->link_name(number);
  return fw::fail(ErrorCode::unsupported,
                  fmt::format("{} has link type {}{}, which is not supported; {}", name, number,
                              known != nullptr ? fmt::format(" ({})", known) : "", kRead));
}

void Reader::State::end(int code) {
  over = true;
  std::string why = stream.problem();
  if (why.empty() && code == PCAP_ERROR_BREAK) return;  // the end of the file
  if (why.empty()) why = fw::printable(lib->error(pcap), PCAP_ERRBUF_SIZE);
  if (why.find("different from the type of the first interface") != why.npos) {
    why += " (capture such devices to separate files; several files can be read together)";
  }
  broken = fw::Error{ErrorCode::io,
                     fmt::format("{}: {}: {}; the part before that was read", name, where(), why),
                     {},
                     {},
                     0};
}

bool Reader::State::next(Packet& out) {
  while (!over) {
    pcap_pkthdr* header = nullptr;
    const unsigned char* bytes = nullptr;
    const int code = lib->next(pcap, &header, &bytes);
    if (code != 1) {
      end(code);
      break;
    }
    ++counts.frames;
    counts.bytes += header->len;
    const Decoded decoded = decode(link, {bytes, header->caplen}, out);
    if (decoded == Decoded::packet) {
      out.time = time_of(*header);
      return true;
    }
    ++(decoded == Decoded::not_ip ? counts.not_ip : counts.malformed);
  }
  return false;
}

Reader::Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

fw::Result<Reader> Reader::open(const std::string& path) {
  const auto lib = libpcap();
  if (!lib) return std::unexpected(lib.error());
  auto stream = Stream::open(path);
  if (!stream) return std::unexpected(stream.error());
  auto state = std::make_unique<State>(name_of(path), std::move(*stream), *lib);
  if (auto begun = state->begin(); !begun) return std::unexpected(begun.error());
  return Reader(std::move(state));
}

std::size_t Reader::read(std::span<Packet> out) {
  std::size_t count = 0;
  while (count < out.size() && state_->next(out[count])) ++count;
  return count;
}

const std::optional<fw::Error>& Reader::broken() const { return state_->broken; }
const Reader::Counts& Reader::counts() const { return state_->counts; }
std::uint64_t Reader::position() const { return state_->stream.position(); }
std::uint64_t Reader::size() const { return state_->stream.size(); }

}  // namespace capture
