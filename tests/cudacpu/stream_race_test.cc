// SPDX-License-Identifier: Apache-2.0
// Races between streams: what nothing orders is reported in every order of work, whatever the
// results; what a stream, an event, the host or a graph orders is not. The oracle is the
// documentation of CUDA's streams.
#include "tests/cudacpu/stream_race.h"

#include <cublasLt.h>
#include <nccl.h>

#include <functional>
#include <string>

#include "tests/cudacpu/launch_kernels.h"
#include "tests/cudacpu/stream_fixture.h"

namespace funnel::testing {
namespace {

using cudacpu::set_option;

constexpr int kInts = kCount / 4;

// An access of a piece of work, and whether it writes.
struct Access {
  const char* name;
  bool writes;
  std::function<void(int*, cudaStream_t)> issue;
};

class StreamRaces : public HostRuntimeStreams {
 protected:
  // Of an array of kInts; each goes through another part of the runtime or of a library.
  std::vector<Access> accesses() {
    return {
        {"kernel writes", true, [](int* a, cudaStream_t s) { launch_fill(a, kInts, 7, s); }},
        {"kernel reads", false,
         [this](int* a, cudaStream_t s) { launch_copy(others.data(), a, kInts, s); }},
        {"fill", true, [](int* a, cudaStream_t s) { cudaMemsetAsync(a, 1, kCount, s); }},
        {"download", false,
         [this](int* a, cudaStream_t s) {
           cudaMemcpyAsync(pinned, a, kCount, cudaMemcpyDeviceToHost, s);
         }},
        {"upload", true,
         [](int* a, cudaStream_t s) {
           const std::vector<int> values(kInts, 3);
           cudaMemcpyAsync(a, values.data(), kCount, cudaMemcpyHostToDevice, s);
         }},
        {"product reads", false,
         [this](int* a, cudaStream_t s) { multiply(a, more.data(), workspace.data(), s); }},
        {"product writes", true,
         [this](int* a, cudaStream_t s) { multiply(more.data(), a, workspace.data(), s); }},
        {"workspace", true,
         [this](int* a, cudaStream_t s) { multiply(more.data(), yet_more.data(), a, s); }},
    };
  }

  // d = a a^T of two rows and eight columns, with a workspace of 32 bytes.
  void multiply(int* a, int* d, int* scratch, cudaStream_t stream) {
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t product = nullptr;
    cublasLtMatrixLayout_t wide = nullptr, square = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtCreate(&handle);
    cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSB, &transposed,
                                   sizeof(transposed));
    cublasLtMatrixLayoutCreate(&wide, CUDA_R_32F, 1, 8, 2);  // every second element
    cublasLtMatrixLayoutCreate(&square, CUDA_R_32F, 1, 1, 1);
    cublasLtMatmulPreferenceCreate(&preference);
    const size_t most = 64;
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &most, sizeof(most));
    const uint32_t align = 4;
    for (const auto which :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      cublasLtMatmulPreferenceSetAttribute(preference, which, &align, sizeof(align));
    }
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    cublasLtMatmulAlgoGetHeuristic(handle, product, wide, wide, square, square, preference, 1,
                                   &found, &count);
    const float one = 1, zero = 0;
    cublasLtMatmul(handle, product, &one, a, wide, a, wide, &zero, d, square, d, square,
                   &found.algo, scratch, kCount, stream);
    cublasLtMatmulPreferenceDestroy(preference);
    for (cublasLtMatrixLayout_t layout : {wide, square}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(product);
    cublasLtDestroy(handle);
  }

  // Runs everything to its end; whether one race was reported, and nothing else.
  static bool is_race() {
    static_cast<void>(cudaDeviceSynchronize());
    cudacpu::clear_faults();
    static_cast<void>(cudaGetLastError());
    const std::vector<std::string> reports = cudacpu::take_reports();
    for (const std::string& one : reports) {
      EXPECT_NE(one.find("race: "), std::string::npos) << one;
      EXPECT_NE(one.find("no stream, event or synchronisation"), std::string::npos) << one;
    }
    EXPECT_LE(reports.size(), 1u);
    return !reports.empty();
  }

  // Does everything in every order of work.
  void in_every_order(const std::function<void()>& body) {
    for (const char* order : kOrders) {
      SCOPED_TRACE(order);
      set_option("streams", order);
      body();
    }
  }

  DeviceArray<int> array{std::vector<int>(kInts, 0)}, others{std::vector<int>(kInts, 0)};
  DeviceArray<int> more{std::vector<int>(kInts, 0)}, yet_more{std::vector<int>(kInts, 0)};
  DeviceArray<int> workspace{std::vector<int>(kInts, 0)};
};

// Every pair of accesses on two streams: a producer and a consumer without an event between them, a
// buffer used again while it is still read, two writers. With an event, never.
TEST_F(StreamRaces, AMissingEventIsReportedForEveryPairOfAccesses) {
  in_every_order([&] {
    for (const Access& one : accesses()) {
      for (const Access& two : accesses()) {
        SCOPED_TRACE(std::string(one.name) + ", " + two.name);
        one.issue(array.data(), first);
        wait(second, first);
        two.issue(array.data(), second);
        EXPECT_FALSE(is_race());
        // Readers write what they have read to one place; ReadersDoNotRace looks at them alone.
        if (!one.writes && !two.writes) continue;
        one.issue(array.data(), first);
        two.issue(array.data(), second);
        EXPECT_TRUE(is_race());
      }
    }
  });
}

TEST_F(StreamRaces, ReadersDoNotRace) {
  in_every_order([&] {
    launch_copy(others.data(), array.data(), kInts, first);
    ASSERT_EQ(cudaMemcpyAsync(pinned, array.data(), kCount, cudaMemcpyDeviceToHost, second), 0);
    launch_copy(more.data(), array.data(), kInts, second);
    EXPECT_FALSE(is_race());
  });
}

TEST_F(StreamRaces, BytesCountAndNotAllocations) {
  in_every_order([&] {
    launch_fill(array.data(), 8, 1, first);
    launch_fill(array.data() + 8, 8, 1, second);
    ASSERT_EQ(cudaMemsetAsync(array.data(), 0, 7, first), 0);
    ASSERT_EQ(cudaMemsetAsync(reinterpret_cast<char*>(array.data()) + 7, 0, 25, first), 0);
    EXPECT_FALSE(is_race());
    ASSERT_EQ(cudaMemsetAsync(array.data(), 0, 7, first), 0);
    ASSERT_EQ(cudaMemsetAsync(reinterpret_cast<char*>(array.data()) + 7, 0, 25, second), 0);
    EXPECT_FALSE(is_race());
    // The product reads every second element, the kernel writes one of the others.
    multiply(array.data(), more.data(), workspace.data(), first);
    launch_fill(array.data() + 3, 1, 1, second);
    EXPECT_FALSE(is_race());
    multiply(array.data(), more.data(), workspace.data(), first);
    launch_fill(array.data() + 4, 1, 1, second);
    EXPECT_TRUE(is_race());
  });
}

// A wait orders what was there when its event was recorded, and no more.
TEST_F(StreamRaces, EventsOrderWhatWasThereWhenRecorded) {
  in_every_order([&] {
    launch_fill(array.data(), kInts, 1, first);
    wait(second, first);
    launch_fill(others.data(), kInts, 1, first);
    launch_copy(more.data(), array.data(), kInts, second);
    EXPECT_FALSE(is_race());
    launch_fill(array.data(), kInts, 1, first);
    wait(second, first);
    launch_fill(array.data(), kInts, 1, first);
    launch_copy(more.data(), array.data(), kInts, second);
    EXPECT_TRUE(is_race());
  });
}

TEST_F(StreamRaces, OrderGoesThroughOtherStreams) {
  cudaStream_t third = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&third, cudaStreamNonBlocking), 0);
  in_every_order([&] {
    for (const bool passed_on : {true, false}) {
      launch_fill(array.data(), kInts, 1, first);
      wait(second, first);
      if (passed_on) {
        ASSERT_EQ(cudaEventRecord(other_event, second), 0);
        ASSERT_EQ(cudaStreamWaitEvent(third, other_event, 0), 0);
      }
      launch_copy(more.data(), array.data(), kInts, third);
      EXPECT_EQ(is_race(), !passed_on);
    }
  });
  ASSERT_EQ(cudaStreamDestroy(third), 0);
}

TEST_F(StreamRaces, WhatTheHostWaitsForComesBefore) {
  const std::vector<std::pair<const char*, std::function<void()>>> waits = {
      {"stream", [&] { ASSERT_EQ(cudaStreamSynchronize(first), 0); }},
      {"device", [&] { ASSERT_EQ(cudaDeviceSynchronize(), 0); }},
      {"event",
       [&] {
         ASSERT_EQ(cudaEventRecord(event, first), 0);
         ASSERT_EQ(cudaEventSynchronize(event), 0);
       }},
      {"queries",
       [&] {
         while (cudaStreamQuery(first) == cudaErrorNotReady) static_cast<void>(cudaGetLastError());
       }},
      {"free",
       [&] {
         void* memory = nullptr;
         ASSERT_EQ(cudaMalloc(&memory, 4), 0);
         ASSERT_EQ(cudaFree(memory), 0);
       }},
  };
  in_every_order([&] {
    for (const auto& [name, host_waits] : waits) {
      SCOPED_TRACE(name);
      launch_fill(array.data(), kInts, 1, first);
      host_waits();
      launch_copy(more.data(), array.data(), kInts, second);
      EXPECT_FALSE(is_race());
    }
    launch_fill(array.data(), kInts, 1, first);
    ASSERT_EQ(cudaStreamSynchronize(second), 0);  // the wrong one
    launch_copy(more.data(), array.data(), kInts, second);
    EXPECT_TRUE(is_race());
  });
}

TEST_F(StreamRaces, TheDefaultStreamOrdersBlockingStreamsOnly) {
  cudaStream_t blocking = nullptr;
  ASSERT_EQ(cudaStreamCreate(&blocking), 0);
  in_every_order([&] {
    for (cudaStream_t other : {blocking, first}) {
      launch_fill(array.data(), kInts, 1, other);
      launch_copy(more.data(), array.data(), kInts, nullptr);
      EXPECT_EQ(is_race(), other == first);
      launch_fill(array.data(), kInts, 1, nullptr);
      launch_copy(more.data(), array.data(), kInts, other);
      EXPECT_EQ(is_race(), other == first);
    }
  });
  ASSERT_EQ(cudaStreamDestroy(blocking), 0);
}

// Streams come and go; what a gone one did counts until somebody has waited for it.
TEST_F(StreamRaces, ADestroyedStreamsWorkIsNotForgotten) {
  in_every_order([&] {
    for (const bool with_wait : {true, false}) {
      for (int round = 0; round < 3; ++round) {
        cudaStream_t gone = nullptr;
        ASSERT_EQ(cudaStreamCreateWithFlags(&gone, cudaStreamNonBlocking), 0);
        launch_fill(array.data(), kInts, 1, gone);
        ASSERT_EQ(cudaStreamDestroy(gone), 0);
        if (with_wait) {
          ASSERT_EQ(cudaDeviceSynchronize(), 0);
        }
        cudaStream_t made = nullptr;
        ASSERT_EQ(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), 0);
        launch_copy(more.data(), array.data(), kInts, made);
        EXPECT_EQ(is_race(), !with_wait);
        ASSERT_EQ(cudaStreamDestroy(made), 0);
      }
    }
  });
}

TEST_F(StreamRaces, CollectivesCount) {
  ncclUniqueId id;
  ncclComm_t comm = nullptr;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ASSERT_EQ(ncclCommInitRankConfig(&comm, 1, id, 0, &config), ncclSuccess);
  auto* floats = reinterpret_cast<float*>(array.data());
  in_every_order([&] {
    for (const bool with_wait : {true, false}) {
      launch_fill(array.data(), kInts, 1, first);
      if (with_wait) wait(second, first);
      ncclAllReduce(floats, floats, kInts, ncclFloat32, ncclSum, comm, second);
      EXPECT_EQ(is_race(), !with_wait);
      ncclAllReduce(floats, floats, kInts, ncclFloat32, ncclSum, comm, second);
      if (with_wait) wait(first, second);
      launch_fill(array.data(), kInts, 1, first);
      EXPECT_EQ(is_race(), !with_wait);
    }
  });
  EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
}

// A graph that forks to the second stream and joins it again; `with_wait`: the fork waits for what
// it reads. Launched twice in `stream`, with nothing between.
class GraphRaces : public StreamRaces {
 protected:
  void TearDown() override {
    for (cudaGraphExec_t one : executables) ASSERT_EQ(cudaGraphExecDestroy(one), 0);
    StreamRaces::TearDown();
  }
  void launch_fork(bool with_wait, cudaStream_t stream) {
    ASSERT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
    if (!with_wait) wait(second, first);
    launch_fill(array.data(), kInts, 1, first);
    if (with_wait) wait(second, first);
    launch_fill(others.data(), kInts, 1, first);
    launch_copy(more.data(), array.data(), kInts, second);
    ASSERT_EQ(cudaEventRecord(other_event, second), 0);
    ASSERT_EQ(cudaStreamWaitEvent(first, other_event, 0), 0);
    launch_copy(yet_more.data(), more.data(), kInts, first);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(first, &graph), 0);
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), 0);
    executables.push_back(executable);
    ASSERT_EQ(cudaGraphDestroy(graph), 0);
    for (int launch = 0; launch < 2; ++launch) {
      static_cast<void>(cudaGraphLaunch(executable, stream));
    }
  }

  std::vector<cudaGraphExec_t> executables;
};

TEST_F(GraphRaces, OrdersWithinAGraphAreThoseOfItsCapture) {
  in_every_order([&] {
    for (cudaStream_t stream : {first, second}) {
      launch_fork(true, stream);
      EXPECT_FALSE(is_race());
      launch_fork(false, stream);
      EXPECT_TRUE(is_race());
    }
  });
}

TEST_F(GraphRaces, AGraphIsWorkOfItsStream) {
  in_every_order([&] {
    launch_fill(array.data(), kInts, 1, first);
    launch_fork(true, first);
    launch_fill(more.data(), kInts, 1, first);
    EXPECT_FALSE(is_race());
    launch_fork(true, first);
    wait(second, first);
    launch_fill(more.data(), kInts, 1, second);
    EXPECT_FALSE(is_race());
    launch_fork(true, first);
    launch_fill(more.data(), kInts, 1, second);
    EXPECT_TRUE(is_race());
    launch_fill(yet_more.data(), kInts, 1, second);
    launch_fork(true, first);
    EXPECT_TRUE(is_race());
  });
}

TEST(Regions, OverlapByRuns) {
  using cudacpu::overlaps;
  using cudacpu::Region;
  const Region runs{1000, 4, 3, 10};  // 1000 to 1003, 1010 to 1013, 1020 to 1023
  for (uintptr_t begin = 990; begin < 1030; ++begin) {
    for (int64_t bytes = 1; bytes < 12; ++bytes) {
      bool expected = false;
      for (uintptr_t at = begin; at < begin + static_cast<uintptr_t>(bytes); ++at) {
        expected |= at >= 1000 && at < 1024 && (at - 1000) % 10 < 4;
      }
      EXPECT_EQ(overlaps(runs, begin, bytes), expected) << begin << ", " << bytes;
      EXPECT_EQ(overlaps(Region{begin, bytes}, runs), expected) << begin << ", " << bytes;
      EXPECT_EQ(overlaps(runs, Region{begin, bytes}), expected) << begin << ", " << bytes;
    }
  }
  EXPECT_FALSE(overlaps(runs, Region{1004, 6, 2, 10}));
  EXPECT_TRUE(overlaps(runs, Region{1004, 7, 2, 10}));
}

}  // namespace
}  // namespace funnel::testing
