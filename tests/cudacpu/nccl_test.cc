// SPDX-License-Identifier: Apache-2.0
// The NCCL stand-in with threads as ranks, each on a device of its own. Oracle of the results:
// sums and copies of small integers, exact in any order. Faults: ranks that die, disagree, share a
// device or do not wait for their own calls.
#include <nccl.h>

#include <atomic>
#include <functional>
#include <thread>

#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {
namespace {

using cudacpu::set_option;

// One rank's communicator and what tests do with it.
class Rank {
 public:
  Rank(const ncclUniqueId& id, int rank, int size, bool blocking) : rank(rank), size(size) {
    EXPECT_EQ(cudaSetDevice(rank), 0);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = blocking ? 1 : 0;
    const ncclResult_t begun = ncclCommInitRankConfig(&comm, size, id, rank, &config);
    EXPECT_EQ(begun, blocking ? ncclSuccess : ncclInProgress);
    EXPECT_EQ(settle(), ncclSuccess);
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
  }
  ~Rank() {
    if (comm != nullptr) {
      EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    }
    EXPECT_EQ(cudaStreamDestroy(stream), 0);
  }

  // Asks until the communicator has an answer.
  ncclResult_t settle() const {
    ncclResult_t state = ncclInProgress;
    while (state == ncclInProgress) {
      EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
      std::this_thread::yield();
    }
    return state;
  }
  void done(ncclResult_t result) const {
    EXPECT_TRUE(result == ncclSuccess || result == ncclInProgress) << ncclGetErrorString(result);
    EXPECT_EQ(settle(), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), 0);
  }
  // Values that tell ranks and places apart.
  std::vector<float> values(int of_rank, int64_t count) const {
    std::vector<float> all(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) all[i] = static_cast<float>(of_rank * 1000 + i % 97);
    return all;
  }

  int rank, size;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
};

class NcclStandIn : public HostRuntimeTest {
 protected:
  void SetUp() override {
    HostRuntimeTest::SetUp();
    set_option("devices", "4");
  }
  void TearDown() override {
    set_option("streams", "eager");
    ASSERT_EQ(cudaSetDevice(0), 0);
    set_option("devices", "1");
    HostRuntimeTest::TearDown();
  }

  static void run_ranks(int size, const std::function<void(const ncclUniqueId&, int)>& body) {
    ncclUniqueId id;
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) threads.emplace_back([&, rank] { body(id, rank); });
    for (std::thread& one : threads) one.join();
  }
};

void check_broadcast_and_gather(Rank& me, int64_t count) {
  DeviceArray<float> mine(me.values(me.rank, count)), all(count * me.size);
  const int root = me.size - 1;
  me.done(ncclAllGather(mine.data(), all.data(), count, ncclFloat32, me.comm, me.stream));
  const std::vector<float> gathered = all.host();
  for (int rank = 0; rank < me.size; ++rank) {
    const std::vector<float> expected = me.values(rank, count);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), gathered.begin() + rank * count));
  }
  me.done(ncclBroadcast(mine.data(), mine.data(), count, ncclFloat32, root, me.comm, me.stream));
  EXPECT_EQ(mine.host(), me.values(root, count));
}

void check_sums(Rank& me, int64_t count) {
  DeviceArray<float> mine(me.values(me.rank, count * me.size)), part(count);
  std::vector<float> sum(static_cast<size_t>(count * me.size), 0);
  for (int rank = 0; rank < me.size; ++rank) {
    const std::vector<float> values = me.values(rank, count * me.size);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
  }
  me.done(
      ncclReduceScatter(mine.data(), part.data(), count, ncclFloat32, ncclSum, me.comm, me.stream));
  EXPECT_EQ(part.host(),
            std::vector<float>(sum.begin() + me.rank * count, sum.begin() + (me.rank + 1) * count));
  me.done(ncclAllReduce(mine.data(), mine.data(), count * me.size, ncclFloat32, ncclSum, me.comm,
                        me.stream));
  EXPECT_EQ(mine.host(), sum);
}

void check_exchange(Rank& me, int64_t count) {
  DeviceArray<float> mine(me.values(me.rank, count)), theirs(count);
  const int to = (me.rank + 1) % me.size, from = (me.rank + me.size - 1) % me.size;
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(ncclSend(mine.data(), count, ncclFloat32, to, me.comm, me.stream), ncclSuccess);
  EXPECT_EQ(ncclRecv(theirs.data(), count, ncclFloat32, from, me.comm, me.stream), ncclSuccess);
  me.done(ncclGroupEnd());
  EXPECT_EQ(theirs.host(), me.values(from, count));
}

TEST_F(NcclStandIn, CollectivesOfOneToFourRanks) {
  for (const char* order : {"eager", "lazy"}) {
    for (const bool blocking : {false, true}) {
      for (const int size : {1, 2, 4}) {
        set_option("streams", order);
        run_ranks(size, [&](const ncclUniqueId& id, int rank) {
          Rank me(id, rank, size, blocking);
          for (const int64_t count : {1, 33, 200'003}) {  // the last fills the sockets
            check_broadcast_and_gather(me, count);
            check_sums(me, count);
            check_exchange(me, count);
          }
        });
      }
    }
  }
}

TEST_F(NcclStandIn, ADeadPeerIsAnErrorAndAbortFreesTheStream) {
  run_ranks(2, [&](const ncclUniqueId& id, int rank) {
    Rank me(id, rank, 2, false);
    DeviceArray<float> sum(me.values(rank, 10));
    if (rank == 1) {  // dies without a word
      EXPECT_EQ(ncclCommAbort(std::exchange(me.comm, nullptr)), ncclSuccess);
      return;
    }
    const ncclResult_t begun =
        ncclAllReduce(sum.data(), sum.data(), 10, ncclFloat32, ncclSum, me.comm, me.stream);
    EXPECT_EQ(begun, ncclInProgress);
    ncclResult_t state = ncclSuccess;
    while (state == ncclSuccess || state == ncclInProgress) {
      EXPECT_EQ(ncclCommGetAsyncError(me.comm, &state), ncclSuccess);
    }
    EXPECT_EQ(state, ncclRemoteError);
    EXPECT_NE(std::string(ncclGetLastError(me.comm)).find("rank 1 has gone"), std::string::npos);
    EXPECT_EQ(cudaStreamQuery(me.stream), cudaErrorNotReady);
    EXPECT_EQ(cudaStreamQuery(me.stream), cudaErrorNotReady);  // for ever
    EXPECT_EQ(ncclCommAbort(std::exchange(me.comm, nullptr)), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess);
    static_cast<void>(cudaGetLastError());
  });
}

TEST_F(NcclStandIn, ASilentPeerLeavesTheOperationPending) {
  std::atomic<bool> given_up{false};
  run_ranks(2, [&](const ncclUniqueId& id, int rank) {
    Rank me(id, rank, 2, false);
    DeviceArray<float> sum(me.values(rank, 10));
    if (rank == 1) {
      while (!given_up) std::this_thread::yield();
      EXPECT_EQ(ncclCommAbort(std::exchange(me.comm, nullptr)), ncclSuccess);
      return;
    }
    EXPECT_EQ(ncclBroadcast(sum.data(), sum.data(), 10, ncclFloat32, 1, me.comm, me.stream),
              ncclInProgress);
    EXPECT_EQ(me.settle(), ncclSuccess);  // in the stream, not done
    for (int i = 0; i < 100; ++i) EXPECT_EQ(cudaStreamQuery(me.stream), cudaErrorNotReady);
    EXPECT_EQ(ncclCommAbort(std::exchange(me.comm, nullptr)), ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess);
    static_cast<void>(cudaGetLastError());
    given_up = true;
  });
}

TEST_F(NcclStandIn, RanksThatDisagreeAreFoundOut) {
  std::atomic<int> failed{0};
  run_ranks(2, [&](const ncclUniqueId& id, int rank) {
    Rank me(id, rank, 2, false);
    DeviceArray<float> data(me.values(rank, 10)), all(40);
    static_cast<void>(ncclAllGather(data.data(), all.data(), rank == 0 ? 10 : 9, ncclFloat32,
                                    me.comm, me.stream));
    ncclResult_t state = ncclSuccess;
    while (state == ncclSuccess || state == ncclInProgress) {
      EXPECT_EQ(ncclCommGetAsyncError(me.comm, &state), ncclSuccess);
    }
    failed += std::string(ncclGetLastError(me.comm)).find("ranks disagree") != std::string::npos;
    EXPECT_EQ(ncclCommAbort(std::exchange(me.comm, nullptr)), ncclSuccess);
  });
  EXPECT_GE(failed, 1);
}

TEST_F(NcclStandIn, TwoRanksOnOneDeviceAreRefused) {
  run_ranks(2, [&](const ncclUniqueId& id, int rank) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRankConfig(&comm, 2, id, rank, &config), ncclInProgress);
    ncclResult_t state = ncclInProgress;
    while (state == ncclInProgress) {
      EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
      std::this_thread::yield();
    }
    EXPECT_EQ(state, ncclInvalidUsage);
    EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  });
}

TEST_F(NcclStandIn, RefusesMisuse) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  Rank me(id, 0, 1, false);
  DeviceArray<float> data(me.values(0, 10));
  float host[10] = {};
  EXPECT_EQ(ncclAllReduce(host, data.data(), 10, ncclFloat32, ncclSum, me.comm, me.stream),
            ncclInvalidArgument);
  expect_report("sendbuff: expected 40 bytes of device memory");
  EXPECT_EQ(ncclAllGather(data.data(), data.data(), 11, ncclFloat32, me.comm, me.stream),
            ncclInvalidArgument);
  expect_report("sendbuff: expected 44 bytes of device memory");
  EXPECT_EQ(ncclBroadcast(data.data(), data.data(), 10, ncclFloat32, 0, me.comm, me.stream),
            ncclInProgress);
  EXPECT_EQ(ncclBroadcast(data.data(), data.data(), 10, ncclFloat32, 0, me.comm, me.stream),
            ncclInvalidUsage);
  expect_report("the call before is still in progress");
  me.done(ncclSuccess);
  EXPECT_EQ(ncclCommAbort(nullptr), ncclInvalidArgument);
  expect_report("no such communicator");
}

}  // namespace
}  // namespace funnel::testing
