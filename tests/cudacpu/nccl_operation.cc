// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/nccl_operation.h"

#include <cstring>
#include <utility>

#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/shadow.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

bool run_operation(const CommPtr& comm, Operation& operation) {
  if (comm->aborted) {  // outputs are left as they are: garbage, and no fault of who reads it
    for (const Operation::Output& one : operation.outputs) note_written(one.address, one.bytes);
    return true;
  }
  if (comm->error != ncclSuccess) return false;
  try {
    if (operation.under_way == nullptr) {
      operation.under_way = std::make_unique<Exchange>(operation.begin());
    }
    if (!operation.under_way->poll(*comm->wire)) return false;
    operation.finish(*operation.under_way);
    operation.under_way.reset();
    return true;
  } catch (const WireError& error) {
    comm->error = ncclRemoteError;
    comm->text = error.what();
    return false;
  }
}

void put_in_stream(Runtime& runtime, const CommPtr& comm, Stream& stream, Operation operation) {
  std::vector<WorkPtr> after;
  const bool same_capture = comm->last != nullptr && comm->last->capture == stream.capture;
  if (same_capture) after.push_back(comm->last);
  auto shared = std::make_shared<Operation>(std::move(operation));
  comm->last = runtime.add(stream, std::move(after),
                           [comm, shared] { return run_operation(comm, *shared); });
  runtime.run_if_eager(comm->last);
}

}  // namespace

int64_t width(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclBfloat16:
      return 2;
    case ncclFloat32:
    case ncclInt32:
      return 4;
    case ncclFloat64:
      return 8;
    default:
      nccl_misuse(ncclInvalidArgument, concat("data type ", static_cast<int>(type)));
  }
}

std::vector<char> read_device(const void* from, int64_t bytes) {
  check_region("an NCCL operation", region_of(from, bytes), false);
  if (const int64_t offset = first_unwritten(from, bytes); offset >= 0) {
    throw Fault(FaultKind::uninitialised,
                concat("an NCCL operation sends ",
                       describe_address(static_cast<const char*>(from) + offset),
                       ", which nobody has written"));
  }
  std::vector<char> data(static_cast<size_t>(bytes));
  if (bytes > 0) std::memcpy(data.data(), find_allocation(from)->at(from), data.size());
  return data;
}

void write_device(void* to, const std::vector<char>& data) {
  if (data.empty()) return;
  check_region("an NCCL operation", region_of(to, static_cast<int64_t>(data.size())), true);
  note_written(to, static_cast<int64_t>(data.size()));
  std::memcpy(find_allocation(to)->at(to), data.data(), data.size());
}

ncclResult_t issue(Runtime& runtime, const CommPtr& comm, cudaStream_t handle,
                   Operation operation) {
  check_usable(comm);
  Stream& stream = runtime.stream(handle);
  if (comm->blocking) {
    put_in_stream(runtime, comm, stream, std::move(operation));
    return ncclSuccess;
  }
  comm->asked = false;
  comm->deferred.push_back(
      [&runtime, comm, handle, operation = std::make_shared<Operation>(std::move(operation))] {
        put_in_stream(runtime, comm, runtime.stream(handle), std::move(*operation));
      });
  return ncclInProgress;
}

}  // namespace funnel::cudacpu
