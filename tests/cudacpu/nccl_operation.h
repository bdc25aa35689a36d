// SPDX-License-Identifier: Apache-2.0
// What the NCCL stand-in's sends, receives and collectives have in common: an operation that is put
// in a stream, exchanges messages with the other ranks when its turn comes, and is asked again
// until all have arrived.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tests/cudacpu/nccl_communicator.h"
#include "tests/cudacpu/nccl_exchange.h"

namespace funnel::cudacpu {

// The kinds of messages.
constexpr int32_t kPointToPoint = 1, kBroadcast = 2, kAllGather = 3, kAllReduce = 4,
                  kReduceScatter = 5;

// What an operation does: make its messages when its turn comes, and use what has arrived.
struct Operation {
  std::function<Exchange()> begin;
  std::function<void(Exchange&)> finish;
  struct Output {
    const void* address;
    int64_t bytes;
  };
  std::vector<Output> outputs;
  std::unique_ptr<Exchange> under_way;
};

// Puts it in the stream, or leaves it to the communicator's next question if that does not block.
// Throws Refusal.
ncclResult_t issue(Runtime& runtime, const CommPtr& comm, cudaStream_t handle, Operation operation);

// The bytes of device memory that an operation sends. Throws Fault for what nobody has written.
std::vector<char> read_device(const void* from, int64_t bytes);
void write_device(void* to, const std::vector<char>& data);

// Bytes of an element. Throws Refusal for a type that is not simulated.
int64_t width(ncclDataType_t type);

// Whether this thread is between ncclGroupStart and ncclGroupEnd.
bool in_group();

}  // namespace funnel::cudacpu
