// SPDX-License-Identifier: Apache-2.0
// The laws of Comm for tensors on CUDA devices, by mpiexec: over NCCL where
// each rank has a device of its own, through the host where ranks share one. Oracles: comm_laws.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "core/backend/device.h"
#include "parallel/device_comm.h"
#include "parallel/mpi_comm.h"
#include "parallel/nccl_comm.h"
#include "tests/parallel/comm_laws.h"

namespace funnel::testing {
namespace {

World* world = nullptr;

std::unique_ptr<Comm> comm_on(Device device) {
  return comm_for_device(std::make_unique<MpiComm>(*world), device, {.host_name = world->host()});
}

bool has_own_device() {
  return cuda_devices() >= world->size();
}

TEST(DeviceComm, ChoosesNcclUnlessADeviceIsShared) {
  const std::unique_ptr<Comm> comm = comm_on(Device::cuda);
  const bool over_mpi = dynamic_cast<MpiComm*>(comm.get()) != nullptr;
  EXPECT_EQ(over_mpi, !has_own_device() || world->size() == 1);
  const std::unique_ptr<Comm> on_host = comm_on(Device::cpu);
  EXPECT_NE(dynamic_cast<MpiComm*>(on_host.get()), nullptr);
}

TEST(DeviceComm, KeepsTheLaws) {
  const std::unique_ptr<Comm> comm = comm_on(Device::cuda);
  Context context(Device::cuda);
  comm->attach(context);
  check_device_laws(*comm, context);
  check_step_word(*comm);
  check_failing_together(*comm);
}

TEST(DeviceComm, StagesThroughTheHostWithTheSameBits) {
  MpiComm comm(*world);
  Context context(Device::cuda);
  comm.attach(context);
  check_device_laws(comm, context);
}

TEST(DeviceComm, NeedsAnAttachedContextForDeviceTensors) {
  const std::unique_ptr<Comm> comm = comm_on(Device::cuda);
  Buffer memory(Device::cuda, 4);
  EXPECT_THROW(comm->all_reduce_sum(memory.tensor({1}, DType::f32)), Error);
}

TEST(DeviceComm, TwoRanksOnOneDeviceAreRefusedByNccl) {
  if (world->size() == 1 || has_own_device()) return;
  std::string message;
  try {
    make_nccl_comm(std::make_unique<MpiComm>(*world), {.host_name = world->host()});
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("ncclCommInitRankConfig failed on rank " + std::to_string(world->rank()) +
                         " (host " + world->host() + ", CUDA device " +
                         std::to_string(world->rank() % cuda_devices())),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace funnel::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  funnel::World world;
  funnel::testing::world = &world;
  try {
    funnel::select_cuda_device(world.node_rank() % std::max(1, funnel::cuda_devices()));
  } catch (const funnel::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit_code());
  }
  return RUN_ALL_TESTS();
}
