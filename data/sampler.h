// SPDX-License-Identifier: Apache-2.0
// Which example a lane of the global batch sees at a step: a pure function of (seed, step, lane),
// the data sets' sizes and their weights, whatever ranks, threads or files there are. In each epoch
// of a data set every example comes exactly once, and each lane walks a contiguous section of that
// epoch's order, so that its reads stay within few chunks.
//
// With one data set, G lanes and N examples, lane l at step t is visit v = t G + l, of epoch e = v
// / N. Epoch e has visits [e N, (e + 1) N); those of lower lanes come first in the epoch's order,
// then lane l's own, by step. The order is a random permutation of chunks, and of the rows within
// each.
//
// With several, a data set of weight w (the weights' sum being 1) owns floor(w G) lanes, spread
// over the batch, and takes turns with the others on the few lanes that are left. Its visits,
// counted in the order of steps and lanes, fill its epochs in the same way; its turns on shared
// lanes count as one more lane.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "data/permutation.h"
#include "data/proportions.h"

namespace funnel {

struct SampledSet {
  int64_t examples = 0;
  double weight = 1;
};

struct Visit {
  int64_t set = 0;
  int64_t epoch = 0;     // of that data set
  int64_t position = 0;  // in the epoch's order, [0, examples)
  friend bool operator==(const Visit&, const Visit&) = default;
};

class Sampler {
 public:
  // Throws an input error unless every set has examples and a weight above 0.
  Sampler(std::vector<SampledSet> sets, int64_t global_batch);

  // What a lane, [0, global_batch), sees at a step. Takes well below a microsecond at any step.
  Visit visit(int64_t step, int64_t lane) const;

  // How often a data set has been visited before a step.
  int64_t visits(int64_t set, int64_t step) const;

 private:
  // Of one data set's visits before number `visit`: those on its first `lanes` lanes.
  struct Cut {
    int64_t step;  // when visit takes place
    int64_t rest;  // how many visits come before it in that step
    int64_t on_lower_lanes(int64_t lane) const { return step * lane + std::min(rest, lane); }
    int64_t on_lane(int64_t lane) const { return step + (rest > lane ? 1 : 0); }
  };
  Cut cut(int64_t set, int64_t visit) const;

  struct Set {
    int64_t examples;
    int64_t lanes;  // its own
  };
  std::vector<Set> sets_;
  int64_t global_batch_;
  int64_t shared_lanes_;
  Proportions lanes_;   // of the batch: the sets' own, and the shared ones as the last part
  Proportions shared_;  // whose turn it is on shared lanes
};

// The order of the examples in one epoch of a data set. Constant time, no memory.
class EpochOrder {
 public:
  EpochOrder(uint64_t seed, int64_t set, int64_t epoch, int64_t examples, int64_t chunk_rows);

  // The example at a position, [0, examples).
  int64_t example(int64_t position) const;

 private:
  uint64_t seed_;
  int64_t set_;
  int64_t epoch_;
  int64_t examples_;
  int64_t chunk_rows_;
  Permutation chunks_;
  int64_t last_chunk_begin_;  // position of the data set's last chunk, which may be smaller
};

}  // namespace funnel
