// SPDX-License-Identifier: Apache-2.0
#include "data/sampler.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "data/random_sequence.h"

namespace funnel {
namespace {

constexpr int64_t kMaxChunkRows = 65536;

// How many visits before `visit` belong to lanes below `lane`.
int64_t visits_of_lower_lanes(int64_t visit, int64_t global_batch, int64_t lane) {
  return visit / global_batch * lane + std::min(visit % global_batch, lane);
}

}  // namespace

EpochPosition epoch_position(int64_t examples, int64_t global_batch, int64_t step, int64_t lane) {
  FUNNEL_CHECK(examples >= 1 && lane >= 0 && lane < global_batch && step >= 0, "sampler: no lane ",
               lane, " of ", global_batch, " at step ", step, " over ", examples, " examples");
  const int64_t epoch = (step * global_batch + lane) / examples;
  const int64_t begin = epoch * examples;
  const int64_t section = visits_of_lower_lanes(begin + examples, global_batch, lane) -
                          visits_of_lower_lanes(begin, global_batch, lane);
  const int64_t first_step = std::max<int64_t>(0, begin - lane + global_batch - 1) / global_batch;
  return {epoch, section + step - first_step};
}

EpochOrder::EpochOrder(uint64_t seed, int64_t epoch, int64_t examples, int64_t chunk_rows)
    : seed_(seed), epoch_(epoch), examples_(examples), chunk_rows_(chunk_rows) {
  FUNNEL_CHECK(examples >= 1 && chunk_rows >= 1 && chunk_rows <= kMaxChunkRows,
               "sampler: no order of ", examples, " examples in chunks of ", chunk_rows);
  chunks_.resize(static_cast<size_t>((examples + chunk_rows - 1) / chunk_rows));
  const auto count = static_cast<int64_t>(chunks_.size());
  RandomSequence(RandomStream(seed, Site("chunk order"), epoch)).permute(chunks_.data(), count);
  const auto last = std::find(chunks_.begin(), chunks_.end(), count - 1);
  last_chunk_begin_ = (last - chunks_.begin()) * chunk_rows;
}

int64_t EpochOrder::example(int64_t position) const {
  FUNNEL_CHECK(position >= 0 && position < examples_, "sampler: no position ", position, " among ",
               examples_, " examples");
  const int64_t last_rows = examples_ - (static_cast<int64_t>(chunks_.size()) - 1) * chunk_rows_;
  int64_t slot = position / chunk_rows_, row = position % chunk_rows_;
  if (position >= last_chunk_begin_ + last_rows) {
    // Behind the smaller chunk everything is moved up; count as if it were full.
    const int64_t as_full = position + chunk_rows_ - last_rows;
    slot = as_full / chunk_rows_;
    row = as_full % chunk_rows_;
  }
  const int64_t chunk = chunks_[static_cast<size_t>(slot)];
  const int64_t rows = std::min(chunk_rows_, examples_ - chunk * chunk_rows_);
  thread_local std::vector<int32_t> order;
  order.resize(static_cast<size_t>(rows));
  RandomSequence(RandomStream(seed_, Site("row order") / chunk, epoch_))
      .permute(order.data(), rows);
  return chunk * chunk_rows_ + order[static_cast<size_t>(row)];
}

}  // namespace funnel
