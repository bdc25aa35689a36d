// SPDX-License-Identifier: Apache-2.0
#include "data/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace funnel {
namespace {

constexpr int64_t kMaxChunkRows = 65536;

// How many lanes each set would have, as real numbers. 0.7 of 10 lanes are seven, whatever the last
// bit of 0.7 says.
std::vector<double> fair_lanes(const std::vector<SampledSet>& sets, int64_t global_batch) {
  double sum = 0;
  for (const SampledSet& set : sets) {
    FUNNEL_CHECK_INPUT(set.examples >= 1, "sampler: a data set without examples");
    FUNNEL_CHECK_INPUT(set.weight > 0 && set.weight < 1e9,
                       "weight of a data set: expected above 0 and below 1e9, found ", set.weight);
    sum += set.weight;
  }
  std::vector<double> lanes;
  for (const SampledSet& set : sets) {
    const double fair = set.weight / sum * static_cast<double>(global_batch);
    const double whole = std::round(fair);
    lanes.push_back(std::abs(fair - whole) < 1e-9 * whole ? whole : fair);
  }
  return lanes;
}

// The sets' own lanes, and last the shared ones.
std::vector<double> whole_lanes(const std::vector<SampledSet>& sets, int64_t global_batch) {
  std::vector<double> lanes = fair_lanes(sets, global_batch);
  double shared = static_cast<double>(global_batch);
  for (double& count : lanes) {
    count = std::floor(count);
    shared -= count;
  }
  lanes.push_back(shared);
  return lanes;
}

// What the sets' own lanes leave them entitled to.
std::vector<double> left_over(const std::vector<SampledSet>& sets, int64_t global_batch) {
  std::vector<double> lanes = fair_lanes(sets, global_batch);
  double sum = 0;
  for (double& count : lanes) sum += count -= std::floor(count);
  if (sum == 0) lanes.front() = 1;  // nobody asks
  return lanes;
}

}  // namespace

Sampler::Sampler(std::vector<SampledSet> sets, int64_t global_batch)
    : global_batch_(global_batch),
      lanes_(whole_lanes(sets, global_batch)),
      shared_(left_over(sets, global_batch)) {
  shared_lanes_ = global_batch;
  for (int64_t set = 0; set < static_cast<int64_t>(sets.size()); ++set) {
    const int64_t lanes = lanes_.before(set, global_batch);
    sets_.push_back({sets[static_cast<size_t>(set)].examples, lanes});
    shared_lanes_ -= lanes;
  }
}

int64_t Sampler::visits(int64_t set, int64_t step) const {
  return step * sets_[static_cast<size_t>(set)].lanes + shared_.before(set, step * shared_lanes_);
}

Sampler::Cut Sampler::cut(int64_t set, int64_t visit) const {
  // The last step before which no more than `visit` visits were made: between the rates of a set
  // that has none and all of the turns on shared lanes.
  const int64_t own = sets_[static_cast<size_t>(set)].lanes;
  int64_t low = visit / (own + shared_lanes_), high = low + 1;
  while (visits(set, high) <= visit) {
    const int64_t reach = high - low;
    low = high;
    high += 2 * reach;
  }
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (visits(set, middle) <= visit ? low : high) = middle;
  }
  return {low, visit - visits(set, low)};
}

Visit Sampler::visit(int64_t step, int64_t lane) const {
  FUNNEL_CHECK(lane >= 0 && lane < global_batch_ && step >= 0, "sampler: no lane ", lane, " of ",
               global_batch_, " at step ", step);
  const auto sets = static_cast<int64_t>(sets_.size());
  const Proportions::Place place = lanes_.at(lane);
  int64_t set = place.part, own_lane = place.index, number;
  int64_t turn = 0;  // of the set on shared lanes
  if (set < sets) {
    number = visits(set, step) + own_lane;
  } else {
    const Proportions::Place turns = shared_.at(step * shared_lanes_ + place.index);
    set = turns.part;
    turn = turns.index;
    own_lane = sets_[static_cast<size_t>(set)].lanes;
    number = (step + 1) * own_lane + turn;
  }
  const auto& [examples, lanes] = sets_[static_cast<size_t>(set)];
  const int64_t epoch = number / examples;
  const Cut begin = cut(set, epoch * examples), end = cut(set, (epoch + 1) * examples);
  const int64_t section = end.on_lower_lanes(own_lane) - begin.on_lower_lanes(own_lane);
  const int64_t walked = own_lane < lanes
                             ? step - begin.on_lane(own_lane)
                             : turn - (epoch * examples - begin.on_lower_lanes(own_lane));
  return {set, epoch, section + walked};
}

EpochOrder::EpochOrder(uint64_t seed, int64_t set, int64_t epoch, int64_t examples,
                       int64_t chunk_rows)
    : seed_(seed),
      set_(set),
      epoch_(epoch),
      examples_(examples),
      chunk_rows_(chunk_rows),
      chunks_(RandomStream(seed, Site("chunk order") / set, epoch),
              (examples + chunk_rows - 1) / chunk_rows),
      last_chunk_begin_(chunks_.inverse(chunks_.size() - 1) * chunk_rows) {
  FUNNEL_CHECK(chunk_rows <= kMaxChunkRows, "sampler: no order of ", examples,
               " examples in chunks of ", chunk_rows);
}

int64_t EpochOrder::example(int64_t position) const {
  FUNNEL_CHECK(position >= 0 && position < examples_, "sampler: no position ", position, " among ",
               examples_, " examples");
  const int64_t last_rows = examples_ - (chunks_.size() - 1) * chunk_rows_;
  int64_t slot = position / chunk_rows_, row = position % chunk_rows_;
  if (position >= last_chunk_begin_ + last_rows) {
    // Behind the smaller chunk everything is moved up; count as if it were full.
    const int64_t as_full = position + chunk_rows_ - last_rows;
    slot = as_full / chunk_rows_;
    row = as_full % chunk_rows_;
  }
  const int64_t chunk = chunks_(slot);
  const int64_t rows = std::min(chunk_rows_, examples_ - chunk * chunk_rows_);
  const Permutation order(RandomStream(seed_, Site("row order") / set_ / chunk, epoch_), rows);
  return chunk * chunk_rows_ + order(row);
}

}  // namespace funnel
