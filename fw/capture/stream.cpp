// The bytes of a capture, decompressed on the way where need be.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/capture/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "fw/base/suggest.hpp"

namespace capture {

constexpr std::size_t kChunk = std::size_t{1} << 20;

/// What is compressed, and was not asked for yet.
struct Input {
  std::vector<unsigned char> bytes = std::vector<unsigned char>(kChunk);
  std::size_t at = 0;
  std::size_t end = 0;

  unsigned char* begin() { return bytes.data() + at; }
  std::size_t left() const { return end - at; }
};

/// What was made of an input, and what turned out to be wrong with the data behind that.
struct Made {
  std::size_t bytes = 0;
  const char* wrong = nullptr;
};

/// Decompresses from an input, which may be empty, into room; both may be used up or not.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual Made run(Input& input, char* to, std::size_t room) = 0;
  /// May the data end here?
  virtual bool at_end() const = 0;
};

namespace {

constexpr const char* kCorrupt = "are corrupt";

class Plain : public Codec {
 public:
  Made run(Input& input, char* to, std::size_t room) override {
    const std::size_t size = std::min(room, input.left());
    std::memcpy(to, input.begin(), size);
    input.at += size;
    return {size};
  }
  bool at_end() const override { return true; }
};

class Gzip : public Codec {
 public:
  Gzip() { ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK; }
  ~Gzip() override { inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Made run(Input& input, char* to, std::size_t room) override {
    if (!ready_) return {0, kCorrupt};
    if (ended_ && input.left() == 0) return {};
    // One more member follows, or padding, which is no part of the data.
    if (ended_ && *input.begin() != 0x1f) {
      input.at = input.end;
      return {};
    }
    if (std::exchange(ended_, false)) inflateReset(&stream_);
    stream_.next_in = input.begin();
    stream_.avail_in = static_cast<uInt>(input.left());
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    input.at = input.end - stream_.avail_in;
    ended_ = code == Z_STREAM_END;
    const bool good = code == Z_OK || ended_ || code == Z_BUF_ERROR;
    return {room - stream_.avail_out, good ? nullptr : kCorrupt};
  }
  bool at_end() const override { return ended_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

class Zstd : public Codec {
 public:
  ~Zstd() override { ZSTD_freeDStream(stream_); }
  Zstd() = default;
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  Made run(Input& input, char* to, std::size_t room) override {
    if (ended_ && input.left() == 0) return {};
    // One block in a call: when one is corrupt, the call says nothing of those before it.
    ZSTD_inBuffer in{input.begin(), std::min(input.left(), next_), 0};
    ZSTD_outBuffer out{to, room, 0};
    const std::size_t code = ZSTD_decompressStream(stream_, &out, &in);
    input.at += in.pos;
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
      return {0, "need a window of more than 128 MiB (decompress them with zstd -d --long=31)"};
    }
    if (ZSTD_isError(code) != 0) return {0, kCorrupt};
    ended_ = code == 0;
    // It wants the rest of the block and the header of the next.
    next_ = code > kHeader ? code - kHeader : kHeader;
    return {out.pos};
  }
  bool at_end() const override { return ended_; }

 private:
  static constexpr std::size_t kHeader = 3;  // of a block
  std::size_t next_ = kHeader;
  ZSTD_DStream* stream_ = ZSTD_createDStream();  // windows up to 128 MiB
  bool ended_ = false;
};

}  // namespace

struct Stream::State {
  int fd = -1;
  std::uint64_t read_bytes = 0;
  std::uint64_t given_bytes = 0;
  std::uint64_t size = 0;
  Input input;
  bool input_over = false;
  const char* kind = "";
  std::unique_ptr<Codec> codec;
  std::string problem;

  ~State() {
    if (fd > STDERR_FILENO) close(fd);
  }

  /// Adds to the input what one read gives.
  void fill() {
    if (input.left() == 0) input.at = input.end = 0;
    if (input.end == input.bytes.size()) return;
    ssize_t got = 0;
    do {
      got = read(fd, input.bytes.data() + input.end, input.bytes.size() - input.end);
    } while (got < 0 && errno == EINTR);
    if (got < 0) problem = fmt::format("cannot read further: {}", std::strerror(errno));
    if (got <= 0) input_over = true;
    if (got > 0) input.end += static_cast<std::size_t>(got);
    if (got > 0) read_bytes += static_cast<std::uint64_t>(got);
  }

  void choose_codec() {
    while (input.left() < 4 && !input_over) fill();
    const unsigned char* const b = input.begin();
    if (input.left() >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
      kind = "gzip";
      codec = std::make_unique<Gzip>();
    } else if (input.left() >= 4 && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd) {
      kind = "zstd";
      codec = std::make_unique<Zstd>();
    } else {
      codec = std::make_unique<Plain>();
    }
  }

  /// As read(2): 0 at the end, however that came about.
  std::size_t give(char* to, std::size_t room) {
    while (problem.empty()) {
      if (input.left() == 0 && !input_over) fill();
      // Even without input: what was made before may have found no room.
      const Made made = codec->run(input, to, room);
      if (made.wrong != nullptr) problem = fmt::format("its {} data {}", kind, made.wrong);
      if (made.bytes != 0) {
        given_bytes += made.bytes;
        return made.bytes;
      }
      if (input.left() != 0 || !input_over) continue;
      if (problem.empty() && !codec->at_end()) problem = fmt::format("its {} data end early", kind);
      return 0;
    }
    return 0;
  }
};

namespace {

ssize_t cookie_read(void* cookie, char* to, std::size_t room) {
  return static_cast<ssize_t>(static_cast<Stream::State*>(cookie)->give(to, room));
}

/// Only to tell where it is.
int cookie_seek(void* cookie, off64_t* offset, int whence) {
  if (whence != SEEK_CUR || *offset != 0) {
    errno = ESPIPE;
    return -1;
  }
  *offset = static_cast<off64_t>(static_cast<Stream::State*>(cookie)->given_bytes);
  return 0;
}

}  // namespace

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
Stream::~Stream() = default;

fw::Result<Stream> Stream::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->fd = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0) {
    const int number = errno;
    return fw::fail_errno(fw::ErrorCode::io, "cannot read " + fw::printable(path, path.size()),
                          number);
  }
  struct stat status {};
  if (fstat(state->fd, &status) == 0 && S_ISREG(status.st_mode)) {
    state->size = static_cast<std::uint64_t>(status.st_size);
    posix_fadvise(state->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  if (S_ISDIR(status.st_mode)) {
    return fw::fail(fw::ErrorCode::io,
                    fw::printable(path, path.size()) + " is a folder; name the captures in it");
  }
  state->choose_codec();
  return Stream(std::move(state));
}

std::FILE* Stream::file() {
  const cookie_io_functions_t functions{cookie_read, nullptr, cookie_seek, nullptr};
  std::FILE* const file = fopencookie(state_.get(), "r", functions);
  if (file == nullptr) return nullptr;
  setvbuf(file, nullptr, _IOFBF, kChunk);
  __fsetlocking(file, FSETLOCKING_BYCALLER);
  return file;
}

bool Stream::is_empty() const { return state_->input.left() == 0 && state_->input_over; }
const std::string& Stream::problem() const { return state_->problem; }
std::uint64_t Stream::position() const { return state_->read_bytes; }
std::uint64_t Stream::size() const { return state_->size; }

}  // namespace capture
