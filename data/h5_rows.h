// SPDX-License-Identifier: Apache-2.0
// Rows of datasets that H5File wrote, read with plain reads: by many threads at once and several
// times faster than through the HDF5 library, whose calls all take one lock. The library tells once
// where the chunks lie; from then on it is not needed, nor is the file kept open, so that there may
// be any number of these. Every chunk is held to its checksum.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/h5.h"

namespace funnel {

// A damaged chunk, for those who want to list them all.
struct DamagedRows {
  std::string dataset;
  int64_t first;
  int64_t rows;
  std::string reason;
};

class H5Rows {
 public:
  // `file` was opened from disk. Throws an input error unless the datasets are stored as H5File
  // stores integers of 16 or 32 bits.
  H5Rows(const H5File& file, const std::vector<std::string>& datasets);

  const std::string& name() const { return name_; }

  // Reads rows [first, first + rows of `to`) into `to`, i32 [rows] or [rows, columns]. Throws an
  // input error naming file, dataset and rows when they cannot be read or a checksum differs.
  void read_rows(const std::string& dataset, int64_t first, Tensor to) const;

  // Every chunk of every dataset that cannot be read or fails its checksum.
  std::vector<DamagedRows> damage() const;

 private:
  std::string name_;
  std::map<std::string, H5ChunkTable> tables_;
};

}  // namespace funnel
