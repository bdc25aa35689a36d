// SPDX-License-Identifier: Apache-2.0
// What kernels do, counted while the option `statistics` is on: how their warps use device memory's
// 32-byte sectors and shared memory's banks, and how much they compute. Counts follow from PTX and
// addresses alone; caches and time are not modelled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cudacpu/memory_access.h"

namespace funnel::cudacpu {

struct Counters {
  double instructions = 0;  // of warps
  // Device memory: bytes that lanes ask for; sectors that the accesses of a warp touch, and the
  // fewest sectors that hold as many different bytes.
  double global_bytes = 0, sectors = 0, fewest_sectors = 0;
  // Shared memory: passes over the banks, and as many as without conflicts.
  double wavefronts = 0, fewest_wavefronts = 0;
  // Floating-point operations, a fused multiply-add being two; those of mma by themselves.
  double flops = 0, double_flops = 0, tensor_flops = 0;

  void add(const Counters& other, double times);
};

struct KernelStatistics {
  std::string kernel;  // as the object names it
  int64_t launches = 0;
  int64_t threads = 0;       // of the largest block
  int64_t shared_bytes = 0;  // static and dynamic, of the launch with most
  Counters total;
};

// Counts one launch while its blocks run.
class LaunchStatistics {
 public:
  explicit LaunchStatistics(const Program& program) : lanes_(program.code.size(), 0) {}

  void instruction(const Instruction& in, int lanes) {
    ++counters_.instructions;
    lanes_[in.index] += lanes;
  }
  void access(const Request& request);

  // What was counted, with the operations that the instructions are.
  Counters sum(const Program& program) const;

 private:
  void global_access(const Request& request);
  void shared_access(const Request& request);

  Counters counters_;
  std::vector<double> lanes_;  // executions by instruction
};

// Adds a launch to its kernel's statistics, its counts `times` over. From any thread.
void keep_statistics(const Launch& launch, const LaunchStatistics& of_launch, double times);

// By kernel, in the order of names, since the last call.
std::vector<KernelStatistics> take_statistics();

}  // namespace funnel::cudacpu
