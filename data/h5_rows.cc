// SPDX-License-Identifier: Apache-2.0
#include "data/h5_rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "data/fletcher32.h"

namespace funnel {
namespace {

static_assert(std::endian::native == std::endian::little, "chunks are read as they are stored");

class OpenFile {
 public:
  explicit OpenFile(const std::string& name) : file_(::open(name.c_str(), O_RDONLY | O_CLOEXEC)) {
    FUNNEL_CHECK_INPUT(file_ >= 0, name, ": ", std::strerror(errno));
  }
  ~OpenFile() { ::close(file_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // Fills `bytes`; an empty text, or why not.
  std::string read(int64_t offset, std::span<char> bytes) const {
    while (!bytes.empty()) {
      const ssize_t got = ::pread(file_, bytes.data(), bytes.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::strerror(errno);
      if (got == 0) return "the file ends before";
      bytes = bytes.subspan(static_cast<size_t>(got));
      offset += got;
    }
    return "";
  }

 private:
  int file_;
};

// Reads a chunk, with its checksum at the end; an empty text, or why not.
std::string read_chunk(const OpenFile& file, const H5ChunkTable& table, size_t chunk,
                       std::vector<char>& bytes) {
  const auto size = static_cast<size_t>(table.chunk_bytes());
  bytes.resize(size + sizeof(uint32_t));
  std::string failure = file.read(table.offsets[chunk], bytes);
  if (!failure.empty()) return failure;
  uint32_t stored = 0;
  std::memcpy(&stored, bytes.data() + size, sizeof stored);
  const uint32_t found = fletcher32(std::span(bytes).first(size));
  return stored == found ? "" : concat("expected checksum ", stored, ", found ", found);
}

template <class T>
void widen(const char* from, int64_t count, int32_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    to[i] = static_cast<int32_t>(value);
  }
}

void copy_rows(const H5ChunkTable& table, const char* chunk, int64_t first, int64_t rows,
               int32_t* to) {
  const char* from = chunk + first * table.columns * table.element_bytes;
  const int64_t count = rows * table.columns;
  table.element_bytes == 2 ? widen<uint16_t>(from, count, to) : widen<int32_t>(from, count, to);
}

}  // namespace

H5Rows::H5Rows(const H5File& file, const std::vector<std::string>& datasets) : name_(file.name()) {
  for (const std::string& dataset : datasets) tables_[dataset] = file.chunk_table(dataset);
}

void H5Rows::read_rows(const std::string& dataset, int64_t first, Tensor to) const {
  const auto found = tables_.find(dataset);
  FUNNEL_CHECK(found != tables_.end() && to.dtype() == DType::i32, name_, ": no dataset '", dataset,
               "' of integers");
  const H5ChunkTable& table = found->second;
  const int64_t end = first + to.shape()[0];
  FUNNEL_CHECK(first >= 0 && end <= table.rows && to.elements() == (end - first) * table.columns,
               name_, ": dataset '", dataset, "': no rows [", first, ", ", end, ") of ", table.rows,
               " for shape ", to.shape());
  const OpenFile file(name_);
  thread_local std::vector<char> bytes;
  int32_t* at = to.as<int32_t>();
  while (first < end) {
    const int64_t chunk = first / table.chunk_rows, begin = chunk * table.chunk_rows;
    const int64_t rows = std::min(end, begin + table.chunk_rows) - first;
    const std::string failure = read_chunk(file, table, static_cast<size_t>(chunk), bytes);
    FUNNEL_CHECK_INPUT(failure.empty(), name_, ": dataset '", dataset, "', rows ", begin, " to ",
                       std::min(table.rows, begin + table.chunk_rows) - 1, ": ", failure);
    copy_rows(table, bytes.data(), first - begin, rows, at);
    at += rows * table.columns;
    first += rows;
  }
}

std::vector<DamagedRows> H5Rows::damage() const {
  const OpenFile file(name_);
  std::vector<DamagedRows> list;
  std::vector<char> bytes;
  for (const auto& [dataset, table] : tables_) {
    for (size_t chunk = 0; chunk < table.offsets.size(); ++chunk) {
      const std::string failure = read_chunk(file, table, chunk, bytes);
      if (failure.empty()) continue;
      const int64_t first = static_cast<int64_t>(chunk) * table.chunk_rows;
      list.push_back({dataset, first, std::min(table.chunk_rows, table.rows - first), failure});
    }
  }
  return list;
}

}  // namespace funnel
