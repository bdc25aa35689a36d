// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/fault.h"

#include <sstream>

#include "tests/cudacpu/exec.h"

namespace funnel::cudacpu {

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::unsupported:
      return "unsupported";
    case FaultKind::launch:
      return "launch";
    case FaultKind::out_of_bounds:
      return "out of bounds";
    case FaultKind::misaligned:
      return "misaligned";
    case FaultKind::uninitialised:
      return "uninitialised";
    case FaultKind::race:
      return "race";
    case FaultKind::barrier:
      return "barrier";
    case FaultKind::warp_mask:
      return "warp mask";
    case FaultKind::async_copy:
      return "asynchronous copy";
    case FaultKind::trap:
      return "trap";
    case FaultKind::endless:
      return "endless";
  }
  return "?";
}

std::string describe_thread(const Block& block, int warp, int lane) {
  const Dim3 size = block.launch->block;
  const auto thread = static_cast<uint32_t>(warp * kLanes + lane);
  std::ostringstream text;
  text << "block (" << block.index.x << ", " << block.index.y << ", " << block.index.z
       << "), thread (" << thread % size.x << ", " << thread / size.x % size.y << ", "
       << thread / size.x / size.y << ')';
  return text.str();
}

std::string describe_instruction(const Program& program, int index) {
  const PtxInstruction& in = program.function.instructions[index];
  const SourceLine& line = program.function.sources[in.source];
  return "'" + in.text + "' at " + line.file + ":" + std::to_string(line.line);
}

void fail(const Warp& warp, const Instruction& instruction, int lane, FaultKind kind,
          const std::string& text) {
  const Program& program = *warp.program;
  throw Fault(kind, text + "\n  in kernel " + program.name + ", " +
                        describe_thread(*warp.block, warp.index, lane) + "\n  " +
                        describe_instruction(program, instruction.index));
}

}  // namespace funnel::cudacpu
