// SPDX-License-Identifier: Apache-2.0
// What a rank over NCCL does when its peer dies or keeps silent, under the host runtime: an error
// that names the rank, its host and its device, in time, and a device that works afterwards.
#include "parallel/nccl_comm.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>

#include "core/backend/device.h"
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

// The group of a thread's rank; dies with the thread's ThreadComm.
class Borrowed final : public Comm {
 public:
  explicit Borrowed(Comm& comm) : Comm(comm.rank(), comm.size()), comm_(comm) {}
  void barrier() override { comm_.barrier(); }
  void broadcast(Tensor tensor, int root) override { comm_.broadcast(tensor, root); }
  void all_gather(ConstTensor mine, Tensor all) override { comm_.all_gather(mine, all); }
  void exchange(int peer, ConstTensor send, Tensor receive) override {
    comm_.exchange(peer, send, receive);
  }

 private:
  Comm& comm_;
};

std::string sum_until_error(Comm& comm, int times) {
  Context context(Device::cuda);
  comm.attach(context);
  Buffer memory(Device::cuda, 4000);
  const Tensor values = memory.tensor({1000}, DType::f32);
  context.fill_zero(values);
  std::string message;
  try {
    for (int i = 0; i < times; ++i) comm.all_reduce_sum(values);
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
        make_nccl_comm(std::make_unique<Borrowed>(host), {.host_name = "here", .deadline = 2s});
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
                                const auto comm = make_nccl_comm(std::make_unique<Borrowed>(host),
                                                                 {.host_name = "here"});
                                if (host.rank() == 1) throw Error("lost");
                                message = sum_until_error(*comm, 1);
                              }),
               Error);
  EXPECT_NE(message.find("rank 1 has gone"), std::string::npos) << message;
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
