// SPDX-License-Identifier: Apache-2.0
// Comm is a group of ranks with a few collectives. All ranks of a group call the same collectives
// in the same order. An implementation supplies the pure functions; the exact sum is built on them
// once, so that every implementation adds in the same order.
//
// Tensors lie on the CPU or, once a context of a CUDA device is attached, on that device. For host
// tensors a call returns when they hold the result; for a device's the call is, like any op, in the
// order of the context's stream, and may return earlier. A peer that fails is then found by whoever
// waits for the context, at the latest. Implementations: SoloComm (one rank), MpiComm, and the
// one over NCCL (nccl_comm.h).
#pragma once

#include "core/backend/buffer.h"
#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

class Comm {
 public:
  virtual ~Comm() = default;
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // From now on tensors may also lie on the context's device. Allocates what later calls need. The
  // context must outlive the last call.
  virtual void attach(Context& context);

  // Returns when every rank has called it.
  virtual void barrier() = 0;

  // Overwrites `tensor` on every rank with the root's.
  virtual void broadcast(Tensor tensor, int root) = 0;

  // Overwrites `all` with the ranks' `mine` in the order of ranks: size() times as many elements.
  virtual void all_gather(ConstTensor mine, Tensor all) = 0;

  // Sends `send` to the peer, which sends `receive` at the same time. Either may be empty.
  virtual void exchange(int peer, ConstTensor send, Tensor receive) = 0;

  // Overwrites `tensor` (f32 or f64, any number of elements) with the sum over ranks. Every
  // element is added in one fixed binary tree over the ranks, ((0 + 1) + (2 + 3)) + ..., so the
  // bits of the sum do not depend on how its leaves are spread over ranks. size() must be a power
  // of two. Allocates nothing.
  //
  // Recursive halving, nearest rank first, then recursive doubling: each rank sends and receives
  // 2 (R - 1) / R times the tensor, which no all-reduce can undercut (Rabenseifner, ICCS 2004).
  void all_reduce_sum(Tensor tensor);

 protected:
  Comm(int rank, int size);

  // The attached context for a tensor on its device, null for one on the CPU. Throws if there is
  // none for the tensor.
  Context* context_for(const char* call, const ConstTensor& tensor) const;
  // The same for a message each way, of which one may be empty.
  Context* context_for(const char* call, const ConstTensor& send, const ConstTensor& receive) const;

 private:
  struct Part;
  void exchange_pieces(int peer, const Part& send, const Part& receive, bool add);

  int rank_;
  int size_;
  Context* context_ = nullptr;
  Buffer staging_;         // one piece of a message on its way into a sum
  Buffer device_staging_;  // the same for sums on the context's device
};

}  // namespace funnel
