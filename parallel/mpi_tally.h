// SPDX-License-Identifier: Apache-2.0
// Numbers that every rank counts while it works alone, and rank 0 sees in sum: for a display of
// work that has no steps in common. Nobody waits for anybody before finish().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "parallel/world.h"

namespace funnel {

class MpiTally {
 public:
  using Numbers = std::array<int64_t, 6>;

  // Collective over all ranks. Destroy it before the World.
  explicit MpiTally(const World& world);
  ~MpiTally();

  // Replaces this rank's numbers. They are sent when the earlier ones have left.
  void post(const Numbers& mine);

  // This rank has no more to post. Its last numbers will arrive.
  void finish(const Numbers& mine);

  // On rank 0: takes what has arrived; the sum over ranks of the newest numbers.
  Numbers sum();

  // On rank 0: whether every rank's finish() has arrived, as of the last sum().
  bool all_finished() const { return finished_ == static_cast<int>(newest_.size()); }

 private:
  struct Handle;
  struct Message {
    Numbers numbers{};
    int64_t last = 0;
  };
  void receive(int rank, const Message& message);

  int rank_;
  int finished_ = 0;
  std::vector<Numbers> newest_;  // of every rank, on rank 0
  std::unique_ptr<Handle> handle_;
};

}  // namespace funnel
