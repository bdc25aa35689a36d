// SPDX-License-Identifier: Apache-2.0
// Sends and receives, alone or in groups.
#include <deque>
#include <utility>

#include "tests/cudacpu/nccl_operation.h"

namespace funnel::cudacpu {
namespace {

struct PointToPoint {
  bool is_send;
  const void* data;
  int64_t bytes;
  int peer;
};

struct Group {
  int depth = 0;
  CommPtr comm;
  cudaStream_t stream = nullptr;
  std::vector<PointToPoint> calls;
};

Group& group() {
  thread_local Group one;
  return one;
}

// A send to oneself goes straight to the receive from oneself.
Operation point_to_point(const CommPtr& comm, std::vector<PointToPoint> calls) {
  const int rank = comm->rank;
  Operation operation;
  for (const PointToPoint& one : calls) {
    if (!one.is_send) operation.outputs.push_back({one.data, one.bytes});
  }
  operation.begin = [calls, rank] {
    std::vector<Message> sends, receives;
    for (const PointToPoint& one : calls) {
      if (one.peer == rank) continue;
      if (one.is_send) {
        sends.push_back({one.peer, kPointToPoint, read_device(one.data, one.bytes)});
      } else {
        receives.push_back(
            {one.peer, kPointToPoint, std::vector<char>(static_cast<size_t>(one.bytes))});
      }
    }
    return Exchange(std::move(sends), std::move(receives));
  };
  operation.finish = [calls, rank](Exchange& exchange) {
    std::deque<std::vector<char>> to_self;
    for (const PointToPoint& one : calls) {
      if (one.is_send && one.peer == rank) to_self.push_back(read_device(one.data, one.bytes));
    }
    size_t next = 0;
    for (const PointToPoint& one : calls) {
      if (one.is_send) continue;
      if (one.peer != rank) {
        write_device(const_cast<void*>(one.data), exchange.received()[next++].data);
      } else {
        write_device(const_cast<void*>(one.data), to_self.front());
        to_self.pop_front();
      }
    }
  };
  return operation;
}

ncclResult_t end_group(Runtime& runtime) {
  Group& mine = group();
  if (mine.depth == 0) nccl_misuse(ncclInvalidUsage, "no group has begun");
  if (--mine.depth > 0) return ncclSuccess;
  Group done = std::exchange(mine, {});
  if (done.calls.empty()) return ncclSuccess;
  return issue(runtime, done.comm, done.stream, point_to_point(done.comm, std::move(done.calls)));
}

ncclResult_t add_to_group(Runtime& runtime, const CommPtr& comm, cudaStream_t stream,
                          const PointToPoint& call) {
  check_usable(comm);
  if (call.peer < 0 || call.peer >= comm->size) nccl_misuse(ncclInvalidArgument, "no such peer");
  if (call.bytes > 0) {
    check_device_range(call.is_send ? "sendbuff" : "recvbuff", call.data, call.bytes);
  }
  Group& mine = group();
  const bool alone = mine.depth == 0;
  if (!mine.calls.empty() && (mine.comm != comm || mine.stream != stream)) {
    nccl_misuse(ncclInvalidUsage, "only groups of one communicator and stream are simulated");
  }
  mine.comm = comm;
  mine.stream = stream;
  mine.calls.push_back(call);
  if (!alone) return ncclSuccess;
  ++mine.depth;
  return end_group(runtime);
}

}  // namespace

bool in_group() {
  return group().depth > 0;
}

}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

ncclResult_t ncclGroupStart() {
  ++group().depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  return nccl_call("ncclGroupEnd", [](Runtime& runtime) { return end_group(runtime); });
}

ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return nccl_call("ncclSend", [&](Runtime& runtime) {
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    return add_to_group(runtime, find_communicator(comm), stream, {true, data, bytes, peer});
  });
}

ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return nccl_call("ncclRecv", [&](Runtime& runtime) {
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    return add_to_group(runtime, find_communicator(comm), stream, {false, data, bytes, peer});
  });
}

}  // extern "C"
