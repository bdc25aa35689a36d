// SPDX-License-Identifier: Apache-2.0
#include "data/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <vector>

#include "core/base/error.h"

namespace funnel {
namespace {

// What the two have in common: a buffer of packed bytes, and whether a member has begun.
class Unpacking : public ByteSource {
 public:
  Unpacking(std::unique_ptr<ByteSource> packed, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)), buffer_(size_t{1} << 16) {}

  int64_t taken() const override { return packed_->taken(); }

 protected:
  // The next packed bytes; an empty piece at the end of the file.
  std::span<const char> next_piece() { return std::span(buffer_).first(packed_->read(buffer_)); }
  [[noreturn]] void fail_truncated(const char* format) const {
    throw_usage(name_, ": truncated ", format, " file: it ends after ", packed_->taken(),
                " bytes, in the middle of its compressed data");
  }
  [[noreturn]] void fail_damaged(const char* format, const char* why) const {
    throw_usage(name_, ": damaged ", format, " file, before byte ", packed_->taken(), ": ", why);
  }

 private:
  std::unique_ptr<ByteSource> packed_;
  std::string name_;
  std::vector<char> buffer_;
};

class GzipSource final : public Unpacking {
 public:
  GzipSource(std::unique_ptr<ByteSource> packed, std::string name)
      : Unpacking(std::move(packed), std::move(name)) {
    constexpr int kGzipOnly = 16;
    FUNNEL_CHECK(inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, "zlib cannot start");
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  size_t read(std::span<char> to) override {
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(to.size());
    while (stream_.avail_out == to.size()) {
      if (stream_.avail_in == 0) {
        const std::span<const char> piece = next_piece();
        if (piece.empty() && !in_member_) return 0;
        if (piece.empty()) fail_truncated("gzip");
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
        stream_.avail_in = static_cast<uInt>(piece.size());
      }
      in_member_ = true;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        in_member_ = false;
        inflateReset(&stream_);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        fail_damaged("gzip", stream_.msg == nullptr ? "zlib cannot go on" : stream_.msg);
      }
    }
    return to.size() - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool in_member_ = false;
};

class ZstdSource final : public Unpacking {
 public:
  ZstdSource(std::unique_ptr<ByteSource> packed, std::string name)
      : Unpacking(std::move(packed), std::move(name)),
        stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    FUNNEL_CHECK(stream_ != nullptr, "zstd cannot start");
  }

  size_t read(std::span<char> to) override {
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !more_inside_) {
        const std::span<const char> piece = next_piece();
        if (piece.empty() && !in_frame_) return 0;
        if (piece.empty()) fail_truncated("zstd");
        in_ = {piece.data(), piece.size(), 0};
      }
      const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in_);
      if (ZSTD_isError(result)) fail_damaged("zstd", ZSTD_getErrorName(result));
      in_frame_ = result != 0;
      // A full output may leave unpacked bytes inside the library.
      more_inside_ = in_frame_ && out.pos == out.size;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool in_frame_ = false;
  bool more_inside_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> gzip_source(std::unique_ptr<ByteSource> packed, std::string name) {
  return std::make_unique<GzipSource>(std::move(packed), std::move(name));
}

std::unique_ptr<ByteSource> zstd_source(std::unique_ptr<ByteSource> packed, std::string name) {
  return std::make_unique<ZstdSource>(std::move(packed), std::move(name));
}

}  // namespace funnel
