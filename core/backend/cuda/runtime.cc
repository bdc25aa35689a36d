// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cuda/runtime.h"

#include "core/backend/cuda/check.h"

namespace funnel::cuda {

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void destroy(Stream stream) noexcept {
  static_cast<void>(cudaStreamDestroy(stream));
}

void synchronize(Stream stream) {
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

bool is_done(Stream stream) {
  const cudaError_t status = cudaStreamQuery(stream);
  if (status == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // an answer, no error
    return false;
  }
  check(status, "cudaStreamQuery");
  return true;
}

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return event;
}

void destroy(Event event) noexcept {
  static_cast<void>(cudaEventDestroy(event));
}

void record(Event event, Stream stream) {
  check(cudaEventRecord(event, stream), "cudaEventRecord");
}

void synchronize(Event event) {
  check(cudaEventSynchronize(event), "cudaEventSynchronize");
}

void wait(Stream stream, Event event) {
  check(cudaStreamWaitEvent(stream, event, 0), "cudaStreamWaitEvent");
}

void fill_zero(Stream stream, void* memory, int64_t bytes) {
  check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream), "cudaMemsetAsync");
}

void copy(Stream stream, void* to, const void* from, int64_t bytes) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, stream),
        "cudaMemcpyAsync");
}

void check_launch() {
  check(cudaGetLastError(), "a kernel launch");
}

}  // namespace funnel::cuda
