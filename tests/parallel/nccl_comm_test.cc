// SPDX-License-Identifier: Apache-2.0
// What a rank over NCCL does when its peer dies or keeps silent, under the host runtime: an error
// that names the rank, its host and its device, in time, and a device that works afterwards.
#include "parallel/nccl_comm.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "core/backend/device.h"
#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/options.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {
namespace {

using namespace std::chrono_literals;

class NcclComm : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    cudacpu::set_option("devices", "4");
    cudacpu::set_option("streams", GetParam());
  }
};

std::string sum_until_error(Comm& comm, int times) {
  Context context(Device::cuda);
  comm.attach(context);
  Buffer memory(Device::cuda, 4000);
  const Tensor values = memory.tensor({1000}, DType::f32);
  context.fill_zero(values);
  std::string message;
  try {
    for (int i = 0; i < times; ++i) {
      comm.all_reduce_sum(values);
      context.synchronize();
    }
  } catch (const Error& error) {
    message = error.what();
  }
  // The device is free again, the group is not.
  context.fill_zero(values);
  context.synchronize();
  if (!message.empty()) {
    EXPECT_THROW(comm.all_reduce_sum(values), Error);
  }
  return message;
}

TEST_P(NcclComm, ASilentPeerIsGivenUpAtTheDeadline) {
  std::string message;
  run_on_threads(2, [&](Comm& host) {
    select_cuda_device(host.rank());
    const auto comm =
        make_nccl_comm(std::make_unique<BorrowedComm>(host), {.host_name = "here", .deadline = 2s});
    if (host.rank() == 0) message = sum_until_error(*comm, 1);
    host.barrier();  // rank 1 is alive, and does nothing
  });
  EXPECT_NE(message.find("failed on rank 0 (host here, CUDA device 0, funnel host runtime (no "
                         "GPU)): no answer from the other ranks for 2000 ms"),
            std::string::npos)
      << message;
}

TEST_P(NcclComm, AFailingPeerIsAnError) {
  std::string message;
  EXPECT_THROW(run_on_threads(2,
                              [&](Comm& host) {
                                select_cuda_device(host.rank());
                                const auto comm = make_nccl_comm(
                                    std::make_unique<BorrowedComm>(host), {.host_name = "here"});
                                if (host.rank() == 1) throw Error("lost");
                                message = sum_until_error(*comm, 1);
                              }),
               Error);
  EXPECT_NE(message.find("rank 1 has gone"), std::string::npos) << message;
}

// The host gives collectives to the device and goes on; the results come in the stream's order.
TEST_P(NcclComm, CollectivesOnADeviceAreNotWaitedFor) {
  run_on_threads(2, [&](Comm& host) {
    select_cuda_device(host.rank());
    const auto comm = make_nccl_comm(std::make_unique<BorrowedComm>(host), {.host_name = "here"});
    Context context(Device::cuda);
    comm->attach(context);
    constexpr int64_t kCount = 1000;
    Buffer memory(Device::cuda, 3 * kCount * 4);
    const Tensor sum = memory.tensor({kCount}, DType::f32);
    const Tensor all = memory.tensor({3 * kCount}, DType::f32).slice(kCount, {2 * kCount});
    Buffer ones = Buffer::for_transfer(Device::cuda, kCount * 4);
    const Tensor host_ones = ones.tensor({kCount}, DType::f32);
    std::fill_n(host_ones.as<float>(), kCount, 1.0f);
    context.upload(host_ones, sum);
    const cudacpu::CallCounts before = cudacpu::call_counts();
    for (int i = 0; i < 3; ++i) comm->all_reduce_sum(sum);
    comm->all_gather(sum, all);
    comm->broadcast(sum, 1);
    EXPECT_EQ(cudacpu::call_counts().waits, before.waits);
    std::vector<float> values(2 * kCount);
    context.download(all, Tensor(values.data(), {2 * kCount}, DType::f32));
    EXPECT_EQ(values, std::vector<float>(2 * kCount, 8.0f));
    context.download(sum, Tensor(values.data(), {kCount}, DType::f32));
    EXPECT_EQ(values[kCount - 1], 8.0f);
    host.barrier();
  });
}

// Two processes' group over a socket, enough to bring NCCL up.
class SocketComm final : public Comm {
 public:
  SocketComm(int rank, int socket) : Comm(rank, 2), socket_(socket) {}
  void barrier() override { FUNNEL_CHECK(false, "not needed"); }
  void broadcast(Tensor tensor, int root) override {
    const auto bytes = static_cast<size_t>(tensor.bytes());
    const ssize_t moved = rank() == root ? write(socket_, tensor.data(), bytes)
                                         : recv(socket_, tensor.data(), bytes, MSG_WAITALL);
    FUNNEL_CHECK(moved == tensor.bytes(), "the other process has gone");
  }
  void all_gather(ConstTensor, Tensor) override { FUNNEL_CHECK(false, "not needed"); }
  void exchange(int, ConstTensor, Tensor) override { FUNNEL_CHECK(false, "not needed"); }

 private:
  int socket_;
};

TEST_P(NcclComm, AKilledProcessIsAnError) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  const auto comm_of = [&](int rank) {
    select_cuda_device(rank);
    return make_nccl_comm(std::make_unique<SocketComm>(rank, sockets[rank]), {.host_name = "here"});
  };
  const pid_t child = fork();
  if (child == 0) {
    const auto comm = comm_of(1);
    sum_until_error(*comm, 3);
    raise(SIGKILL);
  }
  const std::string message = sum_until_error(*comm_of(0), 1'000'000);
  EXPECT_NE(message.find("failed on rank 0 (host here, CUDA device 0"), std::string::npos)
      << message;
  EXPECT_NE(message.find("rank 1 has gone"), std::string::npos) << message;
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  for (const int one : sockets) close(one);
}

INSTANTIATE_TEST_SUITE_P(Streams, NcclComm, ::testing::Values("eager", "lazy"));

}  // namespace
}  // namespace funnel::testing
