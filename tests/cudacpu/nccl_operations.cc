// SPDX-License-Identifier: Apache-2.0
// Sends, receives and collectives. Sums are in the order of ranks.
#include <cstring>
#include <deque>
#include <utility>

#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/nccl_communicator.h"
#include "tests/cudacpu/nccl_exchange.h"
#include "tests/cudacpu/shadow.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

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

// --- Sums ----------------------------------------------------------------------------------------

template <class T>
void add_as(char* sum, const char* addend, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += sizeof(T)) {
    T x, y;
    std::memcpy(&x, sum + at, sizeof(T));
    std::memcpy(&y, addend + at, sizeof(T));
    x += y;
    std::memcpy(sum + at, &x, sizeof(T));
  }
}

void add(ncclDataType_t type, char* sum, const char* addend, int64_t bytes) {
  if (type == ncclFloat32) return add_as<float>(sum, addend, bytes);
  if (type == ncclFloat64) return add_as<double>(sum, addend, bytes);
  nccl_misuse(ncclInvalidArgument, "only float and double are summed");
}

// --- Operations ----------------------------------------------------------------------------------

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

// --- Groups of sends and receives ----------------------------------------------------------------

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

constexpr int32_t kPointToPoint = 1, kBroadcast = 2, kAllGather = 3, kAllReduce = 4,
                  kReduceScatter = 5;

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

// --- Collectives ---------------------------------------------------------------------------------

// Sends part p of `from` to rank p; `combine` gets all ranks' parts, this rank's own included.
struct Collective {
  int32_t kind;
  Operation::Output output;
  const void* from;
  int64_t part_bytes;
  bool parts_differ;  // part p begins at p * part_bytes, otherwise all are the first
  std::function<void(std::vector<std::vector<char>>)> combine;
};

Operation all_to_all(const CommPtr& comm, Collective call) {
  const int rank = comm->rank, size = comm->size;
  const auto part = [call](int p) {
    const char* from = static_cast<const char*>(call.from);
    return read_device(from + (call.parts_differ ? p * call.part_bytes : 0), call.part_bytes);
  };
  Operation operation;
  operation.outputs = {call.output};
  operation.begin = [=] {
    std::vector<Message> sends, receives;
    for (int peer = 0; peer < size; ++peer) {
      if (peer == rank) continue;
      sends.push_back({peer, call.kind, part(peer)});
      receives.push_back(
          {peer, call.kind, std::vector<char>(static_cast<size_t>(call.part_bytes))});
    }
    return Exchange(std::move(sends), std::move(receives));
  };
  operation.finish = [=](Exchange& exchange) {
    std::vector<std::vector<char>> parts;
    for (Message& one : exchange.received()) parts.push_back(std::move(one.data));
    parts.insert(parts.begin() + rank, part(rank));
    call.combine(std::move(parts));
  };
  return operation;
}

Operation broadcast(const CommPtr& comm, const void* from, void* to, int64_t bytes, int root) {
  const int rank = comm->rank, size = comm->size;
  Operation operation;
  operation.begin = [=] {
    std::vector<Message> sends, receives;
    for (int peer = 0; rank == root && peer < size; ++peer) {
      if (peer != root) sends.push_back({peer, kBroadcast, read_device(from, bytes)});
    }
    if (rank != root) {
      receives.push_back({root, kBroadcast, std::vector<char>(static_cast<size_t>(bytes))});
    }
    return Exchange(std::move(sends), std::move(receives));
  };
  operation.outputs = {{to, bytes}};
  operation.finish = [=](Exchange& exchange) {
    write_device(to, rank == root ? read_device(from, bytes) : exchange.received()[0].data);
  };
  return operation;
}

std::function<void(std::vector<std::vector<char>>)> sum_into(void* to, ncclDataType_t type) {
  return [=](std::vector<std::vector<char>> parts) {
    std::vector<char> sum = std::move(parts[0]);
    for (size_t i = 1; i < parts.size(); ++i) {
      add(type, sum.data(), parts[i].data(), static_cast<int64_t>(sum.size()));
    }
    write_device(to, sum);
  };
}

void check_sum(ncclDataType_t type, ncclRedOp_t op) {
  if (op != ncclSum) nccl_misuse(ncclInvalidArgument, "only sums are simulated");
  if (type != ncclFloat32 && type != ncclFloat64) {
    nccl_misuse(ncclInvalidArgument, "only float and double are summed");
  }
}

void check_buffers(const void* from, int64_t from_bytes, const void* to, int64_t to_bytes) {
  if (group().depth > 0) {
    nccl_misuse(ncclInvalidUsage, "only groups of sends and receives are simulated");
  }
  if (from_bytes > 0) check_device_range("sendbuff", from, from_bytes);
  if (to_bytes > 0) check_device_range("recvbuff", to, to_bytes);
}

}  // namespace
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

ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t handle, cudaStream_t stream) {
  return nccl_call("ncclBroadcast", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    check_buffers(from, comm->rank == root ? bytes : 0, to, bytes);
    return issue(runtime, comm, stream, broadcast(comm, from, to, bytes, root));
  });
}

ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t handle, cudaStream_t stream) {
  return nccl_call("ncclAllGather", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    check_buffers(from, bytes, to, bytes * comm->size);
    const auto gather = [to, bytes](const std::vector<std::vector<char>>& parts) {
      char* at = static_cast<char*>(to);
      for (const std::vector<char>& one : parts) write_device(std::exchange(at, at + bytes), one);
    };
    return issue(
        runtime, comm, stream,
        all_to_all(comm, {kAllGather, {to, bytes * comm->size}, from, bytes, false, gather}));
  });
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t handle, cudaStream_t stream) {
  return nccl_call("ncclAllReduce", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    check_sum(type, op);
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    check_buffers(from, bytes, to, bytes);
    return issue(
        runtime, comm, stream,
        all_to_all(comm, {kAllReduce, {to, bytes}, from, bytes, false, sum_into(to, type)}));
  });
}

ncclResult_t ncclReduceScatter(const void* from, void* to, size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t handle, cudaStream_t stream) {
  return nccl_call("ncclReduceScatter", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    check_sum(type, op);
    const int64_t bytes = static_cast<int64_t>(count) * width(type);
    check_buffers(from, bytes * comm->size, to, bytes);
    return issue(
        runtime, comm, stream,
        all_to_all(comm, {kReduceScatter, {to, bytes}, from, bytes, true, sum_into(to, type)}));
  });
}

}  // extern "C"
