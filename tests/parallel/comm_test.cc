// SPDX-License-Identifier: Apache-2.0
// The laws of Comm on one rank and on ranks that are threads. Oracles: comm_laws.cc.
#include <gtest/gtest.h>

#include "parallel/solo_comm.h"
#include "tests/parallel/comm_laws.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {
namespace {

TEST(SoloComm, KeepsTheLaws) {
  SoloComm comm;
  check_all_laws(comm);
  EXPECT_THROW(comm.exchange(0, {}, {}), Error);
  EXPECT_THROW(comm.broadcast({}, 1), Error);
}

class ThreadCommTest : public ::testing::TestWithParam<int> {};

TEST_P(ThreadCommTest, KeepsTheLaws) {
  run_on_threads(GetParam(), check_all_laws);
}

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadCommTest, ::testing::Values(1, 2, 4, 8, 16));

TEST(ThreadCommTest, ThreeRanksHaveNoExactSum) {
  EXPECT_THROW(run_on_threads(3,
                              [](Comm& comm) {
                                float value = 1;
                                comm.all_reduce_sum(Tensor(&value, {1}, DType::f32));
                              }),
               Error);
}

TEST(ThreadCommTest, ARankThatThrowsFreesTheOthers) {
  EXPECT_THROW(run_on_threads(4,
                              [](Comm& comm) {
                                if (comm.rank() == 2) throw Error("lost");
                                comm.barrier();
                              }),
               Error);
}

}  // namespace
}  // namespace funnel::testing
