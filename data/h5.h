// SPDX-License-Identifier: Apache-2.0
// The one door to HDF5: a thin, exception-safe layer over the serial C library. Files are read
// from disk or from memory, and made in memory only: `image()` gives the bytes, which
// write_durably() puts on disk (the library itself does not report a full disk reliably).
//
// Everything written is chunked by rows with a checksum per chunk (fletcher32), in the latest file
// format, without time stamps: equal content gives equal bytes. Every failure is an Error naming
// the file and the dataset; nothing is printed. Stored integers of at most 16 bits are read as i32
// (unsigned 8-bit ones as u8); nothing else converts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/tensor.h"

namespace funnel {

// Where a dataset of integers lies in its file: chunks of whole rows, each followed by its
// fletcher32 checksum. The last chunk is as long as the others.
struct H5ChunkTable {
  int64_t rows = 0;
  int64_t columns = 0;        // elements in a row
  int64_t element_bytes = 0;  // 2: unsigned, 4: signed; little-endian
  int64_t chunk_rows = 0;
  std::vector<int64_t> offsets;  // of the chunks, in bytes

  int64_t chunk_bytes() const { return chunk_rows * columns * element_bytes; }  // without checksum
};

class H5File {
 public:
  // Opens for reading. Takes no file lock, so read-only and lockless file systems do.
  static H5File open(const std::filesystem::path& path);

  // Opens a file's bytes for reading; they are copied. `name` stands for the file in errors.
  static H5File open_image(std::span<const char> image, std::string name);

  // An empty file in memory, for writing.
  static H5File create_image(std::string name);

  ~H5File();
  H5File(H5File&& other) noexcept;
  H5File& operator=(H5File&& other) noexcept;

  const std::string& name() const { return name_; }

  // The bytes of the file as written so far.
  std::vector<char> image() const;

  // Names of all datasets, sorted; those in groups as "group/name".
  std::vector<std::string> datasets() const;
  bool has_dataset(const std::string& dataset) const;
  Shape shape(const std::string& dataset) const;
  DType dtype(const std::string& dataset) const;

  struct WriteOptions {
    int64_t chunk_rows = 0;  // rows of the first axis in a chunk; 0: about a mebibyte
    bool as_uint16 = false;  // store i32 values, all in [0, 65535], in 16 bits
  };
  // Creates a dataset (and the groups in its name). The tensor has rank >= 1.
  void write(const std::string& dataset, ConstTensor values, WriteOptions options);
  void write(const std::string& dataset, ConstTensor values) { write(dataset, values, {}); }

  // Reads the whole dataset; overwrites `to`, whose shape and dtype must be the dataset's.
  void read(const std::string& dataset, Tensor to) const;

  // Reads rows [first, first + to.shape()[0]) of the first axis; overwrites `to`.
  void read_rows(const std::string& dataset, int64_t first, Tensor to) const;

  // Whether the rows of a dataset are lists of integers, each of its own length.
  bool is_list(const std::string& dataset) const;

  // Reads lists [first, first + count) of such a dataset: overwrites `values` with their elements,
  // one list after the other, and `ends` [count] with where each list ends.
  void read_lists(const std::string& dataset, int64_t first, int64_t count,
                  std::vector<int32_t>& values, std::vector<int64_t>& ends) const;

  // Where the chunks lie. Throws an input error unless the dataset is stored as write() stores
  // integers of 16 or 32 bits.
  H5ChunkTable chunk_table(const std::string& dataset) const;

  // Attributes of the file. Setting one twice, or reading a missing one, is an Error.
  void set_attribute(const std::string& attribute, int64_t value);
  void set_attribute(const std::string& attribute, double value);
  void set_attribute(const std::string& attribute, const std::string& value);
  bool has_attribute(const std::string& attribute) const;
  int64_t int_attribute(const std::string& attribute) const;
  double double_attribute(const std::string& attribute) const;
  std::string string_attribute(const std::string& attribute) const;

 private:
  H5File(int64_t file, std::string name) : file_(file), name_(std::move(name)) {}
  void set_scalar(const std::string& attribute, int64_t type, const void* value);
  void read_scalar(const std::string& attribute, int64_t type, void* value) const;

  int64_t file_ = -1;  // HDF5's handle
  std::string name_;
};

}  // namespace funnel
