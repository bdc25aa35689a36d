// SPDX-License-Identifier: Apache-2.0
// The statistics of kernels whose accesses are planted: scattered, misaligned, in conflict, and
// their well-behaved twins. Oracle: sectors, passes and operations counted by hand.
#include "tests/cudacpu/statistics.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/cudacpu/device_memory.h"
#include "tests/cudacpu/selftest/accesses.h"
#include "tests/cudacpu/selftest/kernels.h"

namespace funnel::testing {
namespace {

namespace selftest = cudacpu::selftest;

class Statistics : public HostRuntimeTest {
 protected:
  void SetUp() override {
    HostRuntimeTest::SetUp();
    cudacpu::set_option("statistics", "on");
    cudacpu::take_statistics();
  }
  void TearDown() override {
    cudacpu::set_option("statistics", "off");
    cudacpu::set_option("blocks", "all");
    HostRuntimeTest::TearDown();
  }

  // Of the one kernel that has run since.
  static cudacpu::KernelStatistics take() {
    const std::vector<cudacpu::KernelStatistics> all = cudacpu::take_statistics();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? cudacpu::KernelStatistics() : all[0];
  }

  // A load and a store, each `bytes` a lane.
  static void expect_sectors(int bytes, int offset, int stride, double sectors, double fewest) {
    SCOPED_TRACE(::testing::Message()
                 << bytes << " bytes, offset " << offset << ", stride " << stride);
    const DeviceArray<char> from(std::vector<char>(32 * 1024, 1)), to(32 * 1024);
    selftest::launch_global_copy(from.data(), to.data(), bytes, offset, stride);
    const cudacpu::Counters found = take().total;
    EXPECT_EQ(found.global_bytes, 2 * 32 * bytes);
    EXPECT_EQ(found.sectors, 2 * sectors);
    EXPECT_EQ(found.fewest_sectors, 2 * fewest);
  }
};

TEST_F(Statistics, LanesSideBySideTouchNoSectorTooMany) {
  expect_sectors(2, 0, 1, 2, 2);
  expect_sectors(4, 0, 1, 4, 4);
  expect_sectors(8, 0, 1, 8, 8);
  expect_sectors(16, 0, 1, 16, 16);
}

TEST_F(Statistics, ScatteredLanesTouchASectorEach) {
  expect_sectors(4, 0, 2, 8, 4);
  expect_sectors(4, 0, 8, 32, 4);
  expect_sectors(2, 0, 100, 32, 2);
  expect_sectors(16, 0, 2, 32, 16);
}

TEST_F(Statistics, AMisalignedRowTouchesOneMore) {
  expect_sectors(4, 1, 1, 5, 4);
  expect_sectors(2, 3, 1, 3, 2);
}

TEST_F(Statistics, LanesMayShareASector) {
  const DeviceArray<unsigned> from(std::vector<unsigned>(32, 7)), to(32);
  selftest::launch_global_copy(from.data(), to.data(), 4, 5, 0);
  const cudacpu::Counters found = take().total;
  EXPECT_EQ(found.sectors, 2);
  EXPECT_EQ(found.fewest_sectors, 2);
}

TEST_F(Statistics, BankConflicts) {
  struct Case {
    int bytes, pitch;
    double wavefronts, fewest;
  };
  // A word apart: all banks. 32 words apart: one bank for all. 33 words apart: all banks again.
  for (const Case& one : std::vector<Case>{{4, 4, 1, 1},
                                           {4, 8, 2, 1},
                                           {4, 128, 32, 1},
                                           {4, 132, 1, 1},
                                           {2, 2, 1, 1},
                                           {2, 128, 32, 1},
                                           {8, 8, 2, 2},
                                           {8, 16, 4, 2},
                                           {16, 16, 4, 4},
                                           {16, 128, 32, 4},
                                           {16, 144, 4, 4}}) {
    SCOPED_TRACE(::testing::Message() << one.bytes << " bytes, pitch " << one.pitch);
    selftest::launch_shared_access(one.bytes, one.pitch);
    const cudacpu::Counters found = take().total;
    EXPECT_EQ(found.wavefronts, 2 * one.wavefronts);  // a store and a load
    EXPECT_EQ(found.fewest_wavefronts, 2 * one.fewest);
    EXPECT_EQ(found.sectors, 0);
  }
}

TEST_F(Statistics, RowsOfMatricesCollideUnlessTheirPitchIsOdd) {
  // Stores of words 4, 32 and 36 words apart collide too: 4, 32 and 4 lanes a bank.
  const struct {
    int pitch;
    double stores, loads;
  } cases[] = {{16, 4 * 4, 4}, {128, 4 * 32, 32}, {144, 4 * 4, 4}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.pitch);
    selftest::launch_matrix_rows(one.pitch);
    const cudacpu::Counters found = take().total;
    EXPECT_EQ(found.wavefronts, one.stores + one.loads);
    EXPECT_EQ(found.fewest_wavefronts, 4 + 4);
  }
}

TEST_F(Statistics, AnAsynchronousCopyCountsOnce) {
  const DeviceArray<float> from(std::vector<float>(128, 1.0f)), to(128);
  selftest::launch_async_copy(from.data(), to.data());
  const cudacpu::KernelStatistics found = take();
  EXPECT_EQ(found.total.sectors, 16 + 16);
  EXPECT_EQ(found.total.global_bytes, 512 + 512);
  EXPECT_EQ(found.total.wavefronts, 4 + 4);
  EXPECT_EQ(found.shared_bytes, 512);
  EXPECT_EQ(found.threads, 32);
}

TEST_F(Statistics, Operations) {
  const DeviceArray<float> x(std::vector<float>(32, 0.5f));
  for (int launch = 0; launch < 3; ++launch) selftest::launch_fused(x.data(), 5);
  const cudacpu::KernelStatistics found = take();
  EXPECT_EQ(found.launches, 3);
  EXPECT_EQ(found.total.flops, 3 * 32 * 5 * 2);
  EXPECT_EQ(found.total.double_flops, 0);
}

TEST_F(Statistics, OperationsOfMma) {
  const int m = 64, n = 64, k = 64;
  const DeviceArray<__nv_bfloat16> a(std::vector<__nv_bfloat16>(m * k)),
      b(std::vector<__nv_bfloat16>(k * n));
  const DeviceArray<float> c(m * n);
  selftest::launch_matmul(a.data(), b.data(), c.data(), m, n, k);
  EXPECT_EQ(take().total.tensor_flops, 2.0 * m * n * k);
}

// Of blocks that all do the same, some stand for all.
TEST_F(Statistics, ARehearsalStandsForTheWhole) {
  const int64_t n = 256 * 40;
  const DeviceArray<float> x(std::vector<float>(n, 0.25f)), y(n);
  selftest::launch_elementwise(x.data(), y.data(), n, 0.5f);
  const cudacpu::Counters whole = take().total;
  cudacpu::set_option("blocks", "2");
  selftest::launch_elementwise(x.data(), y.data(), n, 0.5f);
  const cudacpu::Counters rehearsed = take().total;
  EXPECT_EQ(rehearsed.global_bytes, whole.global_bytes);
  EXPECT_EQ(rehearsed.sectors, whole.sectors);
  EXPECT_EQ(rehearsed.flops, whole.flops);
  EXPECT_EQ(rehearsed.instructions, whole.instructions);
}

TEST_F(Statistics, NothingIsCountedUnlessAskedFor) {
  cudacpu::set_option("statistics", "off");
  const DeviceArray<float> x(std::vector<float>(32, 0.5f));
  selftest::launch_fused(x.data(), 5);
  EXPECT_TRUE(cudacpu::take_statistics().empty());
}

}  // namespace
}  // namespace funnel::testing
