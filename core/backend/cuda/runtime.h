// SPDX-License-Identifier: Apache-2.0
// The calls of the CUDA runtime that the backend makes, in plain C++: whoever includes this needs
// no CUDA header. In a build without CUDA the same functions exist and say so.
//
// One process drives one device: whichever select_device (core/backend/device.h) has made the
// calling thread's. Every call that fails throws an Error with the call, the device and the reason.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/tensor.h"

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

namespace funnel {
class MatmulPrimitives;
}

namespace funnel::cuda {

using Stream = CUstream_st*;
using Event = CUevent_st*;
using GraphExec = CUgraphExec_st*;

// Device memory, aligned to at least 256 bytes. Throws an OutOfDeviceMemory with the purpose and
// the sizes when it is not there.
char* allocate(int64_t bytes, const char* purpose);
void release(char* memory) noexcept;

// Host memory that the device copies from and to without a detour.
char* allocate_pinned(int64_t bytes);
void release_pinned(char* memory) noexcept;

// A stream that no other stream waits for.
Stream make_stream();
void destroy(Stream stream) noexcept;
void synchronize(Stream stream);
// Whether all that was asked of the stream is done; never waits.
bool is_done(Stream stream);

Event make_event();
void destroy(Event event) noexcept;
void record(Event event, Stream stream);
void synchronize(Event event);
// Work given to the stream from now on waits for the event.
void wait(Stream stream, Event event);

// From now until the end, work given to the stream is recorded instead of done, and this thread may
// neither wait for it nor allocate.
void begin_recording(Stream stream);
bool is_recording(Stream stream);
// Ends the recording. `graph` (null at first) becomes what launch() repeats; a graph of an earlier
// recording of the same work is brought up to date, which is cheap and leaves alone what of it is
// still under way. Gives the number of kernels, copies and fills. Throws if the recording was
// spoilt.
int64_t end_recording(Stream stream, GraphExec& graph);
// Ends a recording and throws it away.
void discard_recording(Stream stream) noexcept;
void launch(GraphExec graph, Stream stream);
void destroy(GraphExec graph) noexcept;

// In the order of the stream; both may return before they are done.
void fill_zero(Stream stream, void* memory, int64_t bytes);
void copy(Stream stream, void* to, const void* from, int64_t bytes);

// to += from, in the order of the stream, for device tensors of one shape, f32 or f64.
void add(Stream stream, const ConstTensor& from, const Tensor& to);

// Throws if the launch before this call was refused.
void check_launch();

// Input error unless this program holds code for the calling thread's device.
void check_code_runs();

// Products on this stream through cuBLASLt.
std::unique_ptr<MatmulPrimitives> make_matmul_primitives(Stream stream);

}  // namespace funnel::cuda
