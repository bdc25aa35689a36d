// SPDX-License-Identifier: Apache-2.0
// The state of an executing kernel: decoded instructions, warps with their registers, and the block
// they form. A register is an array of 32 lanes; every instruction runs for the lanes of a mask.
//
// Lanes of a warp that have gone different ways form groups, each with its own program counter; the
// one with the lowest counter runs, which brings loops and branches together again. A group that
// must wait (at a barrier, or at a warp collective for other lanes) is parked.
#pragma once

#include <array>
#include <climits>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/kernel.h"
#include "tests/cudacpu/ptx_parse.h"

namespace funnel::cudacpu {

constexpr int kLanes = 32;
using Mask = uint32_t;
constexpr Mask kAllLanes = 0xFFFFFFFFu;

// Generic addresses in these ranges are shared and local memory; device memory lies elsewhere.
constexpr uint64_t kSharedWindow = uint64_t{0x0F01} << 48;
constexpr uint64_t kLocalWindow = uint64_t{0x0F02} << 48;
constexpr uint64_t kParameterWindow = uint64_t{0x0F03} << 48;
constexpr uint64_t kWindowMask = uint64_t{0xFFFF} << 48;

enum class Space : uint8_t { generic, global, shared, local, parameter, constant };

struct Warp;
struct Instruction;
using Handler = void (*)(Warp&, const Instruction&, Mask);

// Operands are byte offsets into a warp's register file, where constants have slots too.
struct Instruction {
  Handler run = nullptr;
  int32_t guard = -1;  // slot of the predicate
  Mask guard_flip = 0;
  std::array<int32_t, 6> op{-1, -1, -1, -1, -1, -1};
  const int32_t* list = nullptr;  // elements of vectors and fragments
  int64_t offset = 0;             // of the address; the target of a branch
  uint32_t detail = 0;            // whatever the opcode needs
  Space space = Space::generic;
  uint8_t width = 0;  // bytes an element
  uint8_t count = 1;  // elements
  bool atomic = false;
  int32_t index = 0;  // in the function
};

// What a kernel looks like once decoded.
struct Program {
  const Kernel* kernel = nullptr;
  std::string name;  // demangled
  PtxFunction function;
  std::vector<Instruction> code;
  std::vector<std::unique_ptr<int32_t[]>> lists;
  std::vector<char> registers;  // a warp's register file with its constants in place
  struct Special {
    std::string name;
    int32_t slot;
  };
  std::vector<Special> specials;  // "%tid.x" and the like
  int64_t shared_bytes = 0;       // static
  int64_t dynamic_shared_offset = 0;
  int64_t local_bytes = 0;
  int64_t parameter_bytes = 0;
};

enum class Waiting : uint8_t { no, barrier, collective };

struct Group {
  int pc = 0;
  Mask lanes = 0;
  Waiting waiting = Waiting::no;
  int barrier = 0;
};

// An asynchronous copy that has been issued; the bytes move when it is waited for.
struct AsyncCopy {
  uint64_t source = 0;  // a global address
  uint32_t target = 0;  // a shared address
  uint8_t bytes = 0, source_bytes = 0;
  int32_t instruction = 0;
};
// A lane's copies, in groups by cp.async.commit_group; the last one is still open.
struct AsyncQueue {
  std::vector<std::vector<AsyncCopy>> groups{1};
};

struct Block;

struct Warp {
  Block* block = nullptr;
  const Program* program = nullptr;
  int index = 0;
  Mask started = 0;  // lanes that exist: the last warp may be partial
  Mask exited = 0;
  // The running group.
  int pc = 0;
  Mask lanes = 0;
  int switch_pc = INT_MAX;    // lowest counter of the runnable groups that do not run
  bool stop = false;          // the running group is parked or gone
  std::vector<Group> groups;  // all others
  std::vector<char> registers;
  std::vector<char> local;  // of lane 0, then lane 1, …
  std::array<uint32_t, kLanes> carry{};
  std::vector<AsyncQueue> copies;  // by lane; empty until the first one
  uint64_t executed = 0;           // instructions of this block
  uint64_t loops = 0;              // backward branches

  template <class T>
  T* reg(int32_t slot) {
    return reinterpret_cast<T*>(registers.data() + slot);
  }
  Mask predicate(int32_t slot) { return *reg<Mask>(slot); }
  Mask alive() const { return started & ~exited; }
};

struct BarrierState {
  int arrived = 0;   // threads
  int expected = 0;  // 0: all threads of the block
  int pc = -1;       // where the first one waits
  int votes = 0;     // bar.red: threads with a true predicate
};

struct Shadow;
struct BlockOrder;
class LaunchStatistics;

struct Block {
  const Program* program = nullptr;
  const Launch* launch = nullptr;
  Dim3 index;
  uint64_t linear = 0;
  std::vector<char> shared;
  int64_t shared_bytes = 0;
  std::shared_ptr<Shadow> shared_shadow;
  bool check_init = false;
  uint64_t most_loops = 0;                 // more backward branches of a warp: it spins
  std::shared_ptr<BlockOrder> order;       // null if the race checker is off
  LaunchStatistics* statistics = nullptr;  // null if nothing is counted
  std::vector<Warp> warps;
  std::array<BarrierState, 16> barriers{};
  int alive = 0;  // threads
};

// Stops the launch: the text is completed with the kernel, block, thread, instruction and line.
[[noreturn]] void fail(const Warp& warp, const Instruction& instruction, int lane, FaultKind kind,
                       const std::string& text);
// "block (0, 1, 0), thread (33, 0, 0)".
std::string describe_thread(const Block& block, int warp, int lane);
// "ld.global.f32 %f1, [%rd4]; at layer_norm.cu:31".
std::string describe_instruction(const Program& program, int index);

// Groups of a warp (warp.cc).
// Parks the lanes at the current instruction; the others of the running group go on behind it.
void park(Warp& warp, const Instruction& instruction, Mask lanes, Waiting why, int barrier);
// The running group's lanes in `taken` continue at `target`, the others behind the instruction.
void branch(Warp& warp, const Instruction& instruction, Mask taken, int target);
void exit_lanes(Warp& warp, Mask lanes);
// Runs until no group of the warp can go on.
void run_warp(Warp& warp);

// Barriers (barrier.cc).
void release_barriers(Block& block);

inline int lowest_lane(Mask mask) {
  return __builtin_ctz(mask);
}

}  // namespace funnel::cudacpu
