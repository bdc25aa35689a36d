// SPDX-License-Identifier: Apache-2.0
// A group of all ranks of the World, over MPI. Each MpiComm has its own message space: messages of
// two of them never mix. Destroy it before the World.
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

  void barrier() override;
  void broadcast(Tensor tensor, int root) override;
  void all_gather(ConstTensor mine, Tensor all) override;
  void exchange(int peer, ConstTensor send, Tensor receive) override;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace funnel
