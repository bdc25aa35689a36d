// SPDX-License-Identifier: Apache-2.0
#include "data/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "data/decompress.h"

namespace funnel {
namespace {

// A file descriptor, 0 (standard input) included.
class FileSource final : public ByteSource {
 public:
  FileSource(const std::filesystem::path& path, int64_t begin)
      : name_(name_of_input(path)), number_(0), owned_(path != "-") {
    if (!owned_) return;
    number_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    FUNNEL_CHECK_INPUT(number_ >= 0, name_, ": cannot open: ", std::strerror(errno));
    if (begin > 0 && ::lseek(number_, begin, SEEK_SET) < 0) {
      const int error = errno;
      ::close(number_);
      throw_usage(name_, ": cannot go to byte ", begin, ": ", std::strerror(error));
    }
    ::posix_fadvise(number_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~FileSource() override {
    if (owned_) ::close(number_);
  }

  size_t read(std::span<char> to) override {
    while (true) {
      const ssize_t got = ::read(number_, to.data(), to.size());
      if (got < 0 && errno == EINTR) continue;
      FUNNEL_CHECK_INPUT(got >= 0, name_, ": cannot read: ", std::strerror(errno));
      taken_ += got;
      return static_cast<size_t>(got);
    }
  }
  int64_t taken() const override { return taken_; }

 private:
  std::string name_;
  int number_;
  bool owned_;
  int64_t taken_ = 0;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}

  size_t read(std::span<char> to) override {
    const size_t count = std::min(to.size(), bytes_.size() - at_);
    std::copy_n(bytes_.data() + at_, count, to.data());
    at_ += count;
    return count;
  }
  int64_t taken() const override { return static_cast<int64_t>(at_); }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

// A source whose first bytes have been read already.
class ResumedSource final : public ByteSource {
 public:
  ResumedSource(std::string head, std::unique_ptr<ByteSource> rest)
      : head_(std::move(head)), rest_(std::move(rest)) {}

  size_t read(std::span<char> to) override {
    if (at_ == head_.size()) return rest_->read(to);
    const size_t count = std::min(to.size(), head_.size() - at_);
    std::copy_n(head_.data() + at_, count, to.data());
    at_ += count;
    return count;
  }
  int64_t taken() const override { return rest_->taken(); }

 private:
  std::string head_;
  size_t at_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

std::string read_head(ByteSource& source, size_t count) {
  std::string head(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    const size_t got = source.read(std::span(head).subspan(filled));
    if (got == 0) break;
    filled += got;
  }
  head.resize(filled);
  return head;
}

// Puts the unpacking in front of what is compressed.
std::unique_ptr<ByteSource> unpacked(std::unique_ptr<ByteSource> raw, const std::string& name) {
  std::string head = read_head(*raw, 4);
  const Compression compression = compression_of(head);
  auto whole = std::make_unique<ResumedSource>(std::move(head), std::move(raw));
  switch (compression) {
    case Compression::gzip:
      return gzip_source(std::move(whole), name);
    case Compression::zstd:
      return zstd_source(std::move(whole), name);
    case Compression::none:
      break;
  }
  return whole;
}

}  // namespace

Compression compression_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return Compression::gzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  return Compression::none;
}

std::unique_ptr<ByteSource> ByteSource::open(const std::filesystem::path& path, int64_t begin) {
  auto file = std::make_unique<FileSource>(path, begin);
  if (begin > 0) return file;
  return unpacked(std::move(file), name_of_input(path));
}

std::unique_ptr<ByteSource> ByteSource::of_bytes(std::string bytes, std::string name) {
  return unpacked(std::make_unique<MemorySource>(std::move(bytes)), name);
}

std::string name_of_input(const std::filesystem::path& path) {
  return path == "-" ? "standard input" : path.string();
}

std::string first_bytes(const std::filesystem::path& path, size_t count) {
  FileSource file(path, 0);
  return read_head(file, count);
}

}  // namespace funnel
