// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>
#include <optional>
#include <sstream>

#include "tests/cudacpu/block.h"
#include "tests/cudacpu/kernel_table.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/race.h"
#include "tests/cudacpu/statistics.h"

namespace funnel::cudacpu {
namespace {

std::mutex& interpreter() {
  static std::mutex one;
  return one;
}

std::string text_of(Dim3 d) {
  std::ostringstream text;
  text << '(' << d.x << ", " << d.y << ", " << d.z << ')';
  return text.str();
}

[[noreturn]] void refuse(const Kernel& kernel, const std::string& text) {
  throw Fault(FaultKind::launch, "cudacpu: cannot launch " + kernel.readable_name + ": " + text);
}

void check_shape(const Kernel& kernel, Dim3 grid, Dim3 block, int most_threads) {
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || block.count() == 0 ||
      block.count() > 1024) {
    refuse(kernel, "block " + text_of(block) + " is empty or larger than 1024 threads");
  }
  if (block.count() > static_cast<uint64_t>(most_threads)) {
    refuse(kernel, "block " + text_of(block) + " is larger than the kernel's __launch_bounds__, " +
                       std::to_string(most_threads) + " threads");
  }
  if (grid.count() == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535) {
    refuse(kernel, "grid " + text_of(grid) + " is empty or beyond (2147483647, 65535, 65535)");
  }
}

void check_shared(const Kernel& kernel, int64_t statically, int64_t dynamically) {
  const int64_t device = option_number("capability") >= 90 ? 227 * 1024 : 163 * 1024;
  const bool opted_in = kernel.max_dynamic_shared_bytes >= 0;
  if (statically + dynamically > device) {
    refuse(kernel, std::to_string(statically + dynamically) +
                       " bytes of shared memory, a block may have " + std::to_string(device));
  }
  const int64_t most = opted_in ? kernel.max_dynamic_shared_bytes : 48 * 1024 - statically;
  if (dynamically > most) {
    refuse(kernel,
           std::to_string(dynamically) + " bytes of dynamic shared memory, allowed are " +
               std::to_string(most) +
               (opted_in ? ", as set" : " without cudaFuncAttributeMaxDynamicSharedMemorySize"));
  }
}

// All blocks, or those of a rehearsal.
std::vector<uint64_t> blocks_to_run(uint64_t count) {
  uint64_t some = count;
  if (is_rehearsal()) some = std::min(count, static_cast<uint64_t>(option_number("blocks")));
  std::vector<uint64_t> blocks(some);
  for (uint64_t i = 0; i < some; ++i) blocks[i] = i * count / some;
  return blocks;
}

}  // namespace

Order::Order() {
  const std::string text = option("schedule");
  if (text == "ascending") return;
  if (text == "descending") {
    kind_ = Kind::descending;
    return;
  }
  const std::string prefix = "random:";
  if (text.rfind(prefix, 0) != 0) {
    throw Fault(FaultKind::launch,
                "FUNNEL_CUDACPU: expected schedule=ascending, descending or "
                "random:SEED, found " +
                    text);
  }
  kind_ = Kind::random;
  random_.seed(std::stoull(text.substr(prefix.size())));
}

Launch prepare_launch(const Kernel& kernel, Dim3 grid, Dim3 block, void* const* arguments,
                      int64_t dynamic_shared_bytes) {
  const std::lock_guard lock(interpreter());
  const Program& program = const_cast<Kernel&>(kernel).load();
  check_shape(kernel, grid, block, attributes(kernel).max_threads_per_block);
  check_shared(kernel, program.shared_bytes, dynamic_shared_bytes);
  Launch launch{&kernel, grid, block, dynamic_shared_bytes, {}};
  launch.arguments.resize(static_cast<size_t>(program.parameter_bytes));
  size_t at = 0;
  for (const PtxVariable& one : program.function.parameters) {
    std::memcpy(launch.arguments.data() + one.offset, arguments[at++],
                static_cast<size_t>(one.bytes));
  }
  return launch;
}

void run(const Launch& launch) {
  const std::lock_guard lock(interpreter());
  const Program& program = const_cast<Kernel*>(launch.kernel)->load();
  const Order order;
  Block block = make_block(program, launch);
  const uint64_t count = launch.grid.count();
  std::vector<uint64_t> turns = blocks_to_run(count);
  order.arrange(turns);
  std::unique_ptr<LaunchOrder> accesses;
  if (option("race") == "on" && !is_rehearsal()) accesses = begin_launch_order(program, turns);
  std::optional<LaunchStatistics> statistics;
  if (option("statistics") == "on") block.statistics = &statistics.emplace(program);
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    const uint64_t linear = block.linear = turns[turn];
    if (accesses != nullptr) {
      block.order = begin_block_order(*accesses, turn, block.warps.size());
    }
    block.index.x = static_cast<uint32_t>(linear % launch.grid.x);
    block.index.y = static_cast<uint32_t>(linear / launch.grid.x % launch.grid.y);
    block.index.z = static_cast<uint32_t>(linear / launch.grid.x / launch.grid.y);
    run_block(block, order);
  }
  if (!statistics) return;
  keep_statistics(launch, *statistics,
                  static_cast<double>(count) / static_cast<double>(turns.size()));
}

void run_kernel(const Kernel& kernel, Dim3 grid, Dim3 block, void* const* arguments,
                int64_t dynamic_shared_bytes) {
  run(prepare_launch(kernel, grid, block, arguments, dynamic_shared_bytes));
}

}  // namespace funnel::cudacpu
