// SPDX-License-Identifier: Apache-2.0
// A group of one rank: every collective is the identity, so that code for one rank has no special
// case.
#pragma once

#include "parallel/comm.h"

namespace funnel {

class SoloComm final : public Comm {
 public:
  SoloComm() : Comm(0, 1) {}

  void barrier() override {}
  void broadcast(Tensor tensor, int root) override;
  void all_gather(ConstTensor mine, Tensor all) override;
  void exchange(int peer, ConstTensor send, Tensor receive) override;  // throws: there is no peer
};

}  // namespace funnel
