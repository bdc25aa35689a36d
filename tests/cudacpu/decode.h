// SPDX-License-Identifier: Apache-2.0
// From parsed PTX to a Program. Each file of operations registers its opcodes with a function that
// sets the handler and the operands of one instruction; an opcode or form that none knows becomes
// an instruction that faults when executed, with its text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cudacpu/exec.h"

namespace funnel::cudacpu {

// Where module variables lie; null if there is no such name.
class SymbolTable {
 public:
  virtual ~SymbolTable() = default;
  // The device address of a .global or .const variable, or 0.
  virtual uint64_t address_of(const std::string& name) const = 0;
  // Bytes of a module-level .shared variable, or -1; 0 for dynamic shared memory.
  virtual int64_t shared_bytes(const std::string& name, int64_t* align) const = 0;
};

Program decode(PtxFunction function, const SymbolTable& symbols);

// What a builder works with: one parsed instruction and the program it joins.
class Decoder {
 public:
  Decoder(Program& program, const SymbolTable& symbols);
  void decode_all();

  // The slot of a register, constant, special register or address constant, that must have `bits`
  // bits (1, 16, 32, 64). Immediates are converted.
  int32_t source(const PtxOperand& operand, int bits);
  int32_t destination(const PtxOperand& operand, int bits);
  // The bits of a register operand; of a constant, `otherwise`.
  int bits_of(const PtxOperand& operand, int otherwise) const;
  // Sets op[slot] to the address register (or a constant), `offset` and the base's width in
  // `detail` bit 31 (set: 32-bit addresses).
  void address(const PtxOperand& operand, int slot, Instruction& out);
  const int32_t* list(const std::vector<int32_t>& slots);
  int label(const std::string& name) const;
  const PtxFunction& function() const { return program_.function; }
  // Slot of a constant repeated in all lanes.
  int32_t constant(uint64_t value, int bits);

 private:
  int32_t allocate(int bits);
  int32_t special(const std::string& name, int bits);
  uint64_t symbol(const std::string& name) const;
  void place_shared_variables();

  Program& program_;
  const SymbolTable& symbols_;
  std::map<std::string, int32_t> slots_;
  std::map<std::pair<uint64_t, int>, int32_t> constants_;
  std::map<std::string, int64_t> shared_;  // name → offset
};

// Thrown by builders and the decoder for forms they do not know.
struct UnknownForm {};

// Sets `out.run` and operands.
using Builder = void (*)(const PtxInstruction& in, Instruction& out, Decoder& decoder);
struct OpcodeEntry {
  const char* opcode;
  Builder build;
};
// Each defined in the file of that name.
std::vector<OpcodeEntry> integer_opcodes();
std::vector<OpcodeEntry> bit_opcodes();
std::vector<OpcodeEntry> float_opcodes();
std::vector<OpcodeEntry> approximate_opcodes();
std::vector<OpcodeEntry> compare_opcodes();
std::vector<OpcodeEntry> convert_opcodes();
std::vector<OpcodeEntry> move_opcodes();
std::vector<OpcodeEntry> memory_opcodes();
std::vector<OpcodeEntry> atomic_opcodes();
std::vector<OpcodeEntry> control_opcodes();
std::vector<OpcodeEntry> barrier_opcodes();
std::vector<OpcodeEntry> warp_opcodes();
std::vector<OpcodeEntry> matrix_opcodes();
std::vector<OpcodeEntry> async_opcodes();
// bar.warp.sync (warp_ops.cc).
void build_warp_barrier(const PtxInstruction& in, Instruction& out, Decoder& decoder);

}  // namespace funnel::cudacpu
