// SPDX-License-Identifier: Apache-2.0
// Run by mpiexec on any number of ranks. Oracle: sums that every rank can state in advance.
#include "parallel/mpi_tally.h"

#include <cstdio>
#include <thread>

#include "core/base/error.h"

namespace funnel {
namespace {

MpiTally::Numbers numbers_of(int rank, int64_t step) {
  return {step, rank, rank * step, 1, -step, int64_t{1} << 40};
}

MpiTally::Numbers expected_sum(int ranks, int64_t step) {
  MpiTally::Numbers sum{};
  for (int rank = 0; rank < ranks; ++rank) {
    const MpiTally::Numbers numbers = numbers_of(rank, step);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
  }
  return sum;
}

void check(const World& world) {
  constexpr int64_t kSteps = 1000;
  MpiTally tally(world);
  int64_t before = 0;
  for (int64_t step = 1; step < kSteps; ++step) {
    tally.post(numbers_of(world.rank(), step));
    if (world.rank() != 0) continue;
    // Ranks are at any step; what they have said never goes back.
    const MpiTally::Numbers sum = tally.sum();
    FUNNEL_CHECK(sum[0] >= before && sum[0] <= kSteps * world.size(), "sum went from ", before,
                 " to ", sum[0]);
    FUNNEL_CHECK(!tally.all_finished(), "nobody can have finished: rank 0 has not");
    before = sum[0];
  }
  tally.finish(numbers_of(world.rank(), kSteps));
  if (world.rank() != 0) return;
  MpiTally::Numbers sum = tally.sum();
  while (!tally.all_finished()) {
    std::this_thread::yield();
    sum = tally.sum();
  }
  FUNNEL_CHECK(sum == expected_sum(world.size(), kSteps), "the last numbers differ");
}

}  // namespace
}  // namespace funnel

int main() {
  const funnel::World world;
  try {
    funnel::check(world);
    // A second one has messages of its own.
    funnel::check(world);
  } catch (const funnel::Error& error) {
    std::fprintf(stderr, "rank %d: %s\n", world.rank(), error.what());
    funnel::World::abort(1);
  }
  return 0;
}
