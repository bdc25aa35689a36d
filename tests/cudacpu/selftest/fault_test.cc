// SPDX-License-Identifier: Apache-2.0
// Every fault class is planted in a small kernel: it must be reported with the right kind, and its
// correct twin must not be, in any order of blocks and warps.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tests/cudacpu/device_memory.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/selftest/kernels.h"

namespace funnel::testing {
namespace {

using cudacpu::FaultKind;

struct Case {
  const char* name;
  FaultKind kind;
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

const Case kCases[] = {
    {"missing_barrier", FaultKind::race},
    {"missing_barrier_in_loop", FaultKind::race},
    {"scratch_reused", FaultKind::race},
    {"stage_refilled", FaultKind::race},
    {"copy_not_awaited", FaultKind::async_copy},
    {"plain_add_across_blocks", FaultKind::race},
    {"blocks_write_one_element", FaultKind::race},
    {"missing_fences", FaultKind::race},
    {"missing_warp_sync", FaultKind::race},
    {"shuffle_as_fence", FaultKind::race},
    {"lanes_write_differently", FaultKind::race},
    {"shared_never_written", FaultKind::uninitialised},
    {"global_never_written", FaultKind::uninitialised},
    {"reads_past_the_end", FaultKind::out_of_bounds},
    {"dynamic_shared_too_small", FaultKind::out_of_bounds},
    {"wild_pointer", FaultKind::out_of_bounds},
    {"freed_pointer", FaultKind::out_of_bounds},
    {"static_array_overrun", FaultKind::out_of_bounds},
    {"stack_overrun", FaultKind::out_of_bounds},
    {"misaligned_vector", FaultKind::misaligned},
    {"misaligned_matrix_row", FaultKind::misaligned},
    {"shuffle_in_a_branch", FaultKind::warp_mask},
    {"caller_outside_mask", FaultKind::warp_mask},
    {"source_outside_mask", FaultKind::warp_mask},
    {"exited_lane_in_mask", FaultKind::warp_mask},
    {"asks_who_is_active", FaultKind::warp_mask},
    {"two_barriers", FaultKind::barrier},
    {"barrier_never_complete", FaultKind::barrier},
    {"stops_itself", FaultKind::trap},
    {"fails_an_assertion", FaultKind::trap},
    {"never_ends", FaultKind::endless},
    {"sleeps", FaultKind::unsupported},
    {"too_large_block", FaultKind::launch},
    {"shared_without_opt_in", FaultKind::launch},
};

class PlantedFault : public HostRuntimeTest, public ::testing::WithParamInterface<Case> {
 protected:
  // Launches the case and returns the reports.
  static std::vector<std::string> reports_of(bool planted, const std::string& schedule) {
    cudacpu::set_option("schedule", schedule);
    cudacpu::set_option("loops", "10000");
    std::vector<std::string> reports;
    {
      const DeviceArray<float> floats(std::vector<float>(1024, 0.0f)), unwritten(1024);
      const DeviceArray<unsigned> counter(std::vector<unsigned>(1, 0));
      EXPECT_TRUE(cudacpu::selftest::launch_case(
          GetParam().name, planted, {floats.data(), unwritten.data(), counter.data(), freed()}));
      reports = cudacpu::take_reports();
      cudacpu::clear_faults();
      static_cast<void>(cudaGetLastError());
    }
    cudacpu::set_option("schedule", "ascending");
    return reports;
  }
  static float* freed() { return DeviceArray<float>(std::vector<float>(1, 0.0f)).data(); }
};

TEST_P(PlantedFault, IsReportedAndItsTwinIsNot) {
  for (const char* schedule : {"ascending", "descending", "random:1", "random:2"}) {
    SCOPED_TRACE(schedule);
    const std::vector<std::string> found = reports_of(true, schedule);
    ASSERT_EQ(found.size(), 1u) << "the fault was not found";
    const std::string& text = found[0];
    const bool at_launch = GetParam().kind == FaultKind::launch;
    if (at_launch) {
      EXPECT_NE(text.find("cannot launch"), std::string::npos) << text;
    } else {
      EXPECT_EQ(text.rfind(cudacpu::name_of(GetParam().kind), 0), 0u) << text;
      EXPECT_NE(text.find("selftest/faults.cu:"), std::string::npos) << text;
      EXPECT_NE(text.find(GetParam().name), std::string::npos) << text;
    }
    for (const std::string& report : reports_of(false, schedule)) {
      ADD_FAILURE() << "the correct twin: " << report;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlantedFault, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace funnel::testing
