// SPDX-License-Identifier: Apache-2.0
// Streams, events and graphs in all orders of work. The oracle: programs that wait where they must
// give the same result in every order; programs that forget a wait give a wrong one in some order.
#include <functional>
#include <string>

#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/stream_fixture.h"

namespace funnel::testing {
namespace {

using cudacpu::set_option;

// The checker reports a missing wait whatever the results (stream_race_test.cc); here they count.
class UncheckedStreams : public HostRuntimeStreams {
 protected:
  void SetUp() override {
    HostRuntimeStreams::SetUp();
    set_option("race", "off");
  }
  void TearDown() override {
    set_option("race", "on");
    HostRuntimeStreams::TearDown();
  }
  // A producer on one stream, a consumer on another; the consumer's result.
  int produce_and_consume(cudaStream_t producer, cudaStream_t consumer, bool with_wait) {
    DeviceArray<char> source(std::vector<char>(kCount, 1)), target(std::vector<char>(kCount, 2));
    set(source, 5, producer);
    if (with_wait) wait(consumer, producer);
    copy(target, source, consumer);
    download(target, consumer);
    EXPECT_EQ(cudaStreamSynchronize(consumer), 0);
    const int result = pinned[kCount - 1];
    EXPECT_EQ(cudaDeviceSynchronize(), 0);
    return result;
  }
};

TEST_F(HostRuntimeStreams, WorkOfOneStreamIsInOrder) {
  for (const char* order : kOrders) {
    set_option("streams", order);
    DeviceArray<char> a(kCount), b(kCount);
    set(a, 1, first);
    copy(b, a, first);
    set(a, 2, first);
    download(b, first);
    ASSERT_EQ(cudaStreamSynchronize(first), 0);
    EXPECT_EQ(pinned[0], 1) << order;
  }
}

TEST_F(UncheckedStreams, AnEventOrdersTwoStreams) {
  for (const char* order : kOrders) {
    set_option("streams", order);
    EXPECT_EQ(produce_and_consume(first, second, true), 5) << order;
    EXPECT_EQ(produce_and_consume(second, first, true), 5) << order;
  }
}

TEST_F(UncheckedStreams, AMissingEventShows) {
  EXPECT_EQ(produce_and_consume(first, second, false), 5);  // eager hides it
  for (const char* order : {"lazy", "newest"}) {
    set_option("streams", order);
    EXPECT_EQ(produce_and_consume(first, second, false), 1) << order;
  }
  set_option("streams", "lazy");
  EXPECT_EQ(produce_and_consume(second, first, false), 1);
}

TEST_F(UncheckedStreams, AnOverwriteBeforeTheReaderShows) {
  const auto read_then_overwrite = [&](bool with_wait) {
    DeviceArray<char> source(std::vector<char>(kCount, 3));
    download(source, first);
    if (with_wait) wait(second, first);
    set(source, 4, second);
    EXPECT_EQ(cudaStreamSynchronize(first), 0);
    return static_cast<int>(pinned[0]);
  };
  set_option("streams", "newest");
  EXPECT_EQ(read_then_overwrite(true), 3);
  EXPECT_EQ(read_then_overwrite(false), 4);
}

TEST_F(HostRuntimeStreams, AMissingSynchronisationShows) {
  DeviceArray<char> source(std::vector<char>(kCount, 6));
  for (const char* order : kOrders) {
    set_option("streams", order);
    std::fill(pinned, pinned + kCount, char{0});
    download(source, first);
    EXPECT_NE(pinned[0], 6) << order;
    ASSERT_EQ(cudaStreamSynchronize(second), 0);
    EXPECT_NE(pinned[0], 6) << order << ", the wrong stream";
    ASSERT_EQ(cudaStreamSynchronize(first), 0);
    EXPECT_EQ(pinned[0], 6) << order;
  }
}

// What the host may not see yet, work behind it may.
TEST_F(HostRuntimeStreams, WorkSeesPinnedMemoryThatTheHostHasNotWaitedFor) {
  for (const char* order : kOrders) {
    set_option("streams", order);
    DeviceArray<char> source(std::vector<char>(kCount, 6)), target(std::vector<char>(kCount, 0));
    download(source, first);
    ASSERT_EQ(cudaMemcpyAsync(target.data(), pinned, kCount, cudaMemcpyHostToDevice, first), 0);
    ASSERT_EQ(cudaStreamSynchronize(first), 0);
    EXPECT_EQ(target.host()[kCount - 1], 6) << order;
  }
}

TEST_F(HostRuntimeStreams, APinnedSourceReusedTooEarlyShows) {
  DeviceArray<char> target(kCount);
  std::fill(pinned, pinned + kCount, char{1});
  set_option("streams", "lazy");
  ASSERT_EQ(cudaMemcpyAsync(target.data(), pinned, kCount, cudaMemcpyHostToDevice, first), 0);
  std::fill(pinned, pinned + kCount, char{2});
  ASSERT_EQ(cudaStreamSynchronize(first), 0);
  EXPECT_EQ(target.host()[0], 2);
  // Pageable memory is read before the call returns.
  std::vector<char> pageable(kCount, 3);
  ASSERT_EQ(cudaMemcpyAsync(target.data(), pageable.data(), kCount, cudaMemcpyHostToDevice, first),
            0);
  std::fill(pageable.begin(), pageable.end(), char{4});
  ASSERT_EQ(cudaStreamSynchronize(first), 0);
  EXPECT_EQ(target.host()[0], 3);
}

TEST_F(HostRuntimeStreams, EventsMarkWhatWasThereWhenRecorded) {
  DeviceArray<char> source(std::vector<char>(kCount, 1));
  set_option("streams", "lazy");
  download(source, first);
  ASSERT_EQ(cudaEventRecord(event, first), 0);
  set(source, 9, first);
  download(source, first);
  ASSERT_EQ(cudaEventSynchronize(event), 0);
  EXPECT_EQ(pinned[0], 1);
  ASSERT_EQ(cudaStreamSynchronize(first), 0);
  EXPECT_EQ(pinned[0], 9);
}

TEST_F(HostRuntimeStreams, QueriesSayNotReadyBeforeTheySayReady) {
  DeviceArray<char> source(std::vector<char>(kCount, 1));
  set_option("streams", "lazy");
  download(source, first);
  ASSERT_EQ(cudaEventRecord(event, first), 0);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  EXPECT_EQ(pinned[0], 1);
  EXPECT_EQ(cudaStreamQuery(first), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
}

TEST_F(UncheckedStreams, TheDefaultStreamWaitsForBlockingStreamsOnly) {
  cudaStream_t blocking = nullptr;
  ASSERT_EQ(cudaStreamCreate(&blocking), 0);
  set_option("streams", "lazy");
  EXPECT_EQ(produce_and_consume(blocking, nullptr, false), 5);
  EXPECT_EQ(produce_and_consume(nullptr, blocking, false), 5);
  EXPECT_EQ(produce_and_consume(first, nullptr, false), 1);
  EXPECT_EQ(produce_and_consume(nullptr, first, false), 1);
  ASSERT_EQ(cudaStreamDestroy(blocking), 0);
}

TEST_F(HostRuntimeStreams, WorkOfADestroyedStreamStillRuns) {
  DeviceArray<char> source(std::vector<char>(kCount, 8));
  set_option("streams", "lazy");
  cudaStream_t gone = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&gone, cudaStreamNonBlocking), 0);
  download(source, gone);
  ASSERT_EQ(cudaStreamDestroy(gone), 0);
  ASSERT_EQ(cudaDeviceSynchronize(), 0);
  EXPECT_EQ(pinned[0], 8);
}

TEST_F(HostRuntimeStreams, ElapsedTimeNeedsTimingEvents) {
  cudaEvent_t start = nullptr, end = nullptr;
  ASSERT_EQ(cudaEventCreate(&start), 0);
  ASSERT_EQ(cudaEventCreate(&end), 0);
  ASSERT_EQ(cudaEventRecord(start, first), 0);
  ASSERT_EQ(cudaEventRecord(end, first), 0);
  ASSERT_EQ(cudaEventSynchronize(end), 0);
  float milliseconds = -1;
  ASSERT_EQ(cudaEventElapsedTime(&milliseconds, start, end), 0);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, event), cudaErrorInvalidResourceHandle);
  expect_report("without timing");
  for (cudaEvent_t one : {start, end}) ASSERT_EQ(cudaEventDestroy(one), 0);
}

// Captures what `record` does on the first stream and returns the executable graph.
class HostRuntimeGraphs : public HostRuntimeStreams {
 protected:
  cudaGraphExec_t capture(const std::function<void()>& record) {
    EXPECT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
    record();
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(first, &graph), 0);
    cudaGraphExec_t executable = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), 0);
    EXPECT_EQ(cudaGraphDestroy(graph), 0);
    return executable;
  }
};

TEST_F(HostRuntimeGraphs, RunAtEachLaunchAndNotWhenCaptured) {
  for (const char* order : kOrders) {
    set_option("streams", order);
    DeviceArray<char> source(std::vector<char>(kCount, 1)), target(std::vector<char>(kCount, 0));
    cudaGraphExec_t graph = capture([&] { copy(target, source, first); });
    EXPECT_EQ(target.host()[0], 0);
    for (const int value : {7, 8}) {
      set(source, value, first);
      ASSERT_EQ(cudaGraphLaunch(graph, first), 0);
      ASSERT_EQ(cudaStreamSynchronize(first), 0);
      EXPECT_EQ(target.host()[0], value) << order;
    }
    ASSERT_EQ(cudaGraphExecDestroy(graph), 0);
  }
}

// A fork to the second stream and a join, with the fork's wait or without.
TEST_F(HostRuntimeGraphs, AnUpdateCountsFromTheNextLaunchOn) {
  for (const char* order : kOrders) {
    set_option("streams", order);
    DeviceArray<char> target(std::vector<char>(kCount, 0)), kept(std::vector<char>(kCount, 0));
    cudaGraphExec_t graph = capture([&] { set(target, 1, first); });
    const auto update = [&](const std::function<void()>& record) {
      EXPECT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
      record();
      cudaGraph_t recorded = nullptr;
      EXPECT_EQ(cudaStreamEndCapture(first, &recorded), 0);
      cudaGraphExecUpdateResultInfo result{};
      const cudaError_t status = cudaGraphExecUpdate(graph, recorded, &result);
      EXPECT_EQ(cudaGraphDestroy(recorded), 0);
      return status;
    };
    const cudacpu::CallCounts before = cudacpu::call_counts();
    EXPECT_EQ(cudaGraphLaunch(graph, first), 0);
    copy(kept, target, first);
    EXPECT_EQ(update([&] { set(target, 2, first); }), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(graph, first), 0);
    const auto twice = [&] {
      set(target, 3, first);
      set(target, 4, first);
    };
    EXPECT_EQ(update(twice), cudaErrorGraphExecUpdateFailure);
    EXPECT_EQ(cudaGetLastError(), cudaErrorGraphExecUpdateFailure);
    EXPECT_EQ(cudacpu::call_counts().waits, before.waits);
    EXPECT_EQ(cudacpu::call_counts().graph_launches, before.graph_launches + 2);
    download(kept, first);
    EXPECT_EQ(cudaStreamSynchronize(first), 0);
    EXPECT_EQ(pinned[0], 1) << order;
    download(target, first);
    EXPECT_EQ(cudaStreamSynchronize(first), 0);
    EXPECT_EQ(pinned[0], 2) << order;
    EXPECT_EQ(cudacpu::call_counts().waits, before.waits + 2);
    ASSERT_EQ(cudaGraphExecDestroy(graph), 0);
  }
}

TEST_F(HostRuntimeGraphs, KeepTheOrderOfForkedStreams) {
  for (const bool with_wait : {true, false}) {
    set_option("race", with_wait ? "on" : "off");  // it would report the missing wait
    for (const char* order : kOrders) {
      set_option("streams", order);
      DeviceArray<char> a(std::vector<char>(kCount, 1)), b(std::vector<char>(kCount, 2));
      cudaGraphExec_t graph = capture([&] {
        ASSERT_EQ(cudaEventRecord(event, first), 0);
        if (!with_wait) {
          ASSERT_EQ(cudaStreamWaitEvent(second, event, 0), 0);
        }
        set(a, 5, first);
        if (with_wait) wait(second, first);
        copy(b, a, second);
        ASSERT_EQ(cudaEventRecord(other_event, second), 0);
        ASSERT_EQ(cudaStreamWaitEvent(first, other_event, 0), 0);
      });
      ASSERT_EQ(cudaGraphLaunch(graph, first), 0);
      ASSERT_EQ(cudaStreamSynchronize(first), 0);
      const bool right = with_wait || std::string(order) == "eager";
      EXPECT_EQ(b.host()[0], right ? 5 : 1) << order;
      ASSERT_EQ(cudaGraphExecDestroy(graph), 0);
    }
  }
  set_option("race", "on");
}

TEST_F(HostRuntimeGraphs, UnjoinedStreamsAreRefused) {
  DeviceArray<char> a(kCount);
  ASSERT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
  wait(second, first);
  set(a, 1, second);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
  expect_report("was not waited for");
  set(a, 1, second);  // both streams are free again
  ASSERT_EQ(cudaStreamSynchronize(second), 0);
  set(a, 1, first);
}

TEST_F(HostRuntimeGraphs, CallsThatWaitSpoilACapture) {
  const auto spoil = [&](const std::function<cudaError_t()>& call, const char* why) {
    ASSERT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    expect_report(why);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
  };
  void* memory = nullptr;
  char pageable[4] = {};
  DeviceArray<char> a(kCount);
  spoil([&] { return cudaStreamSynchronize(first); }, "is being captured");
  spoil([&] { return cudaMalloc(&memory, 4); }, "while a stream is being captured");
  spoil([&] { return cudaDeviceSynchronize(); }, "while a stream is being captured");
  spoil([&] { return cudaMemcpyAsync(a.data(), pageable, 4, cudaMemcpyHostToDevice, first); },
        "pageable host memory cannot be captured");
}

TEST_F(HostRuntimeGraphs, OutsideWorkCannotBeWaitedForInACapture) {
  DeviceArray<char> a(kCount);
  set_option("streams", "lazy");
  set(a, 1, second);
  ASSERT_EQ(cudaEventRecord(event, second), 0);
  ASSERT_EQ(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), 0);
  EXPECT_EQ(cudaStreamWaitEvent(first, event, 0), cudaErrorStreamCaptureIsolation);
  expect_report("outside the capture");
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(first, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
}

}  // namespace
}  // namespace funnel::testing
