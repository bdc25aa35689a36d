// SPDX-License-Identifier: Apache-2.0
// The CUDA backend of a build without one: nothing is on such a device, and asking for it throws.
#include "core/backend/cuda/timing.h"
#include "core/backend/device.h"
#include "core/backend/matmul.h"
#include "core/base/error.h"

namespace funnel {
namespace {

constexpr const char* kAbsent = "this build has no CUDA backend";

[[noreturn]] void throw_absent() {
  throw Error(kAbsent);
}

}  // namespace

std::string why_no_cuda() {
  return kAbsent;
}
int cuda_devices() {
  return 0;
}
void select_cuda_device(int) {
  throw_absent();
}
std::string cuda_device_address() {
  throw_absent();
}
std::string describe_cuda_device() {
  throw_absent();
}

namespace cuda {

char* allocate(int64_t, const char*) {
  throw_absent();
}
void release(char*) noexcept {}
char* allocate_pinned(int64_t) {
  throw_absent();
}
void release_pinned(char*) noexcept {}
Stream make_stream() {
  throw_absent();
}
void destroy(Stream) noexcept {}
void synchronize(Stream) {
  throw_absent();
}
bool is_done(Stream) {
  throw_absent();
}
void begin_recording(Stream) {
  throw_absent();
}
bool is_recording(Stream) {
  throw_absent();
}
int64_t end_recording(Stream, GraphExec&) {
  throw_absent();
}
void discard_recording(Stream) noexcept {}
void launch(GraphExec, Stream) {
  throw_absent();
}
void destroy(GraphExec) noexcept {}
Event make_event() {
  throw_absent();
}
Event make_timing_event() {
  throw_absent();
}
double milliseconds_between(Event, Event) {
  throw_absent();
}
void destroy(Event) noexcept {}
void record(Event, Stream) {
  throw_absent();
}
void synchronize(Event) {
  throw_absent();
}
void wait(Stream, Event) {
  throw_absent();
}
void fill_zero(Stream, void*, int64_t) {
  throw_absent();
}
void copy(Stream, void*, const void*, int64_t) {
  throw_absent();
}
void add(Stream, const ConstTensor&, const Tensor&) {
  throw_absent();
}
void check_code_runs() {
  throw_absent();
}
std::unique_ptr<MatmulPrimitives> make_matmul_primitives(Stream) {
  throw_absent();
}

}  // namespace cuda
}  // namespace funnel
