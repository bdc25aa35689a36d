// SPDX-License-Identifier: Apache-2.0
// Recorded work: stream capture and graphs of the CUDA runtime.
#include <cuda_runtime_api.h>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/runtime.h"

namespace funnel::cuda {
namespace {

// Whether the graph now does what was recorded. It cannot if the recorded work has another shape.
bool update(GraphExec graph, cudaGraph_t recorded) {
  cudaGraphExecUpdateResultInfo result{};
  const cudaError_t status = cudaGraphExecUpdate(graph, recorded, &result);
  if (status == cudaErrorGraphExecUpdateFailure) {
    static_cast<void>(cudaGetLastError());
    return false;
  }
  check(status, "cudaGraphExecUpdate");
  return true;
}

void bring_up_to_date(GraphExec& graph, cudaGraph_t recorded) {
  if (graph != nullptr && update(graph, recorded)) return;
  destroy(graph);
  graph = nullptr;
  check(cudaGraphInstantiate(&graph, recorded, 0), "cudaGraphInstantiate");
}

}  // namespace

// Other threads (reading data, talking to other ranks) are not disturbed.
void begin_recording(Stream stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

bool is_recording(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

int64_t end_recording(Stream stream, GraphExec& graph) {
  cudaGraph_t recorded = nullptr;
  check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
  size_t operations = 0;
  try {
    check(cudaGraphGetNodes(recorded, nullptr, &operations), "cudaGraphGetNodes");
    bring_up_to_date(graph, recorded);
  } catch (...) {
    static_cast<void>(cudaGraphDestroy(recorded));
    throw;
  }
  check(cudaGraphDestroy(recorded), "cudaGraphDestroy");
  return static_cast<int64_t>(operations);
}

void discard_recording(Stream stream) noexcept {
  cudaGraph_t recorded = nullptr;
  static_cast<void>(cudaStreamEndCapture(stream, &recorded));
  if (recorded != nullptr) static_cast<void>(cudaGraphDestroy(recorded));
  static_cast<void>(cudaGetLastError());
}

void launch(GraphExec graph, Stream stream) {
  check(cudaGraphLaunch(graph, stream), "cudaGraphLaunch");
}

void destroy(GraphExec graph) noexcept {
  if (graph != nullptr) static_cast<void>(cudaGraphExecDestroy(graph));
}

}  // namespace funnel::cuda
