// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, of standard input or of memory, in order. What is compressed with gzip or
// zstd, known by its first bytes, is unpacked on the way (several members or frames one after
// another count as one text).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace funnel {

enum class Compression { none, gzip, zstd };

// Of a file that begins with these bytes (four are enough).
Compression compression_of(std::string_view first_bytes);

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills `to` from its front; returns how many bytes came, 0 only at the end. Throws an input
  // error naming the source when it cannot be read, is damaged or ends too early.
  virtual size_t read(std::span<char> to) = 0;

  // Bytes taken from the file so far, as stored there (compressed).
  virtual int64_t taken() const = 0;

  // Opens a file, or standard input when `path` is "-". `begin`, for uncompressed files only, is
  // where to start. Throws an input error naming a path that cannot be opened.
  static std::unique_ptr<ByteSource> open(const std::filesystem::path& path, int64_t begin = 0);

  // Reads from memory; `name` stands for the path in errors.
  static std::unique_ptr<ByteSource> of_bytes(std::string bytes, std::string name);
};

// The name by which people know a path: "standard input" for "-".
std::string name_of_input(const std::filesystem::path& path);

// Up to `count` first bytes of a file. Throws an input error naming a path that cannot be read.
std::string first_bytes(const std::filesystem::path& path, size_t count);

}  // namespace funnel
