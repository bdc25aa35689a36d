// SPDX-License-Identifier: Apache-2.0
// Which example a lane of the global batch sees at a step: a pure function of (seed, step, lane)
// and the data set's size, whatever ranks, threads or files there are. In each epoch every example
// comes exactly once, and each lane walks a contiguous section of that epoch's order, so that its
// reads stay within few chunks.
//
// With G lanes and N examples, lane l at step t is visit v = t G + l, of epoch e = v / N. Epoch e
// has visits [e N, (e + 1) N); those of lower lanes come first in the epoch's order, then lane l's
// own, by step. The order itself is a random permutation of chunks, and of the rows within each.
#pragma once

#include <cstdint>
#include <vector>

namespace funnel {

struct EpochPosition {
  int64_t epoch = 0;
  int64_t position = 0;  // in the epoch's order, [0, examples)
  friend bool operator==(const EpochPosition&, const EpochPosition&) = default;
};

// Constant time at any step. examples >= 1, 0 <= lane < global_batch.
EpochPosition epoch_position(int64_t examples, int64_t global_batch, int64_t step, int64_t lane);

// The order of the examples in one epoch.
class EpochOrder {
 public:
  EpochOrder(uint64_t seed, int64_t epoch, int64_t examples, int64_t chunk_rows);

  int64_t epoch() const { return epoch_; }

  // The example at a position, [0, examples).
  int64_t example(int64_t position) const;

 private:
  uint64_t seed_;
  int64_t epoch_;
  int64_t examples_;
  int64_t chunk_rows_;
  std::vector<int64_t> chunks_;  // in random order
  int64_t last_chunk_begin_;     // position of the data set's last chunk, which may be smaller
};

}  // namespace funnel
