// SPDX-License-Identifier: Apache-2.0
// A group of all ranks of the World, over MPI. Each MpiComm has its own message space: messages of
// two of them never mix. Destroy it before the World. MPI sees host memory only: tensors on a CUDA
// device travel through page-locked memory, piece by piece.
#pragma once

#include <memory>

#include "parallel/comm.h"
#include "parallel/world.h"

namespace funnel {

class MpiComm final : public Comm {
 public:
  // Collective over all ranks.
  explicit MpiComm(const World& world);
  ~MpiComm() override;

  void attach(Context& context) override;
  void barrier() override;
  void broadcast(Tensor tensor, int root) override;
  void all_gather(ConstTensor mine, Tensor all) override;
  void exchange(int peer, ConstTensor send, Tensor receive) override;

 private:
  struct Handle;
  class Piece;
  void broadcast_host(Tensor tensor, int root);
  void all_gather_host(ConstTensor mine, Tensor all);
  void exchange_host(int peer, ConstTensor send, Tensor receive);

  std::unique_ptr<Handle> handle_;
  Buffer sending_, receiving_;  // page-locked, for pieces of device tensors
};

}  // namespace funnel
