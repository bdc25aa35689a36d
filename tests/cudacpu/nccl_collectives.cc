// SPDX-License-Identifier: Apache-2.0
// Collectives. Sums are in the order of ranks.
#include <cstring>
#include <utility>

#include "tests/cudacpu/nccl_operation.h"

namespace funnel::cudacpu {
namespace {

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
  if (in_group()) {
    nccl_misuse(ncclInvalidUsage, "only groups of sends and receives are simulated");
  }
  if (from_bytes > 0) check_device_range("sendbuff", from, from_bytes);
  if (to_bytes > 0) check_device_range("recvbuff", to, to_bytes);
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

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
