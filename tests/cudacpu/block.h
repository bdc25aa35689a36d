// SPDX-License-Identifier: Apache-2.0
// Runs the blocks of a launch, one after the other, in an order that a test may choose.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/cudacpu/exec.h"

namespace funnel::cudacpu {

// The order of blocks and of a block's warps: option `schedule`.
class Order {
 public:
  Order();  // from the option
  template <class T>
  void arrange(std::vector<T>& items) const;  // given in ascending order

 private:
  enum class Kind { ascending, descending, random } kind_ = Kind::ascending;
  mutable std::mt19937_64 random_;
};

// `launch` must outlive the block.
Block make_block(const Program& program, const Launch& launch);
// Runs the block at block.index, block.linear from its start to its end. Throws Fault.
void run_block(Block& block, const Order& order);

template <class T>
void Order::arrange(std::vector<T>& items) const {
  if (kind_ == Kind::ascending) return;
  const bool ascending = items.size() < 2 || items[0] < items[1];
  if (kind_ == Kind::descending) {
    if (ascending) std::reverse(items.begin(), items.end());
    return;
  }
  std::shuffle(items.begin(), items.end(), random_);
}

}  // namespace funnel::cudacpu
