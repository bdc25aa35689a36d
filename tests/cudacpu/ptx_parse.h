// SPDX-License-Identifier: Apache-2.0
// PTX text to structures: a module with its variables and entries, and, for each entry that is
// launched, its instructions with resolved registers, labels and source lines.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace funnel::cudacpu {

// A variable in .global, .const, .shared, .local or .param space.
struct PtxVariable {
  std::string name;
  std::string space;
  int64_t align = 1;
  int64_t bytes = 0;          // 0: an array of unstated size, dynamic shared memory
  std::vector<char> initial;  // empty: zeros
  int64_t offset = 0;         // within a function's shared, local or parameter memory
};

struct PtxOperand {
  enum class Kind {
    name,       // a register, special register, variable or label
    immediate,  // bits; float_width 32 or 64 for a literal of that type
    address,    // [name + offset] or [offset]
    vector,     // {parts}
    pair,       // parts[0] | parts[1]
  };
  Kind kind = Kind::name;
  std::string name;
  bool negated = false;  // !%p
  uint64_t bits = 0;
  int float_width = 0;
  int64_t offset = 0;
  std::vector<PtxOperand> parts;
};

struct SourceLine {
  std::string file;
  int line = 0;
};

struct PtxInstruction {
  std::string guard;  // "%p1" of "@%p1", or empty
  bool guard_negated = false;
  std::vector<std::string> parts;  // the opcode at its dots: {"ld", "global", "v4", "f32"}
  std::vector<PtxOperand> operands;
  int source = 0;  // index into PtxFunction::sources
  std::string text;

  const std::string& opcode() const { return parts[0]; }
  const std::string& type() const { return parts.back(); }
  bool has(std::string_view part) const;
};

struct PtxFunction {
  std::string name;
  std::map<std::string, int> registers;  // name → bits: 1, 16, 32, 64
  std::vector<PtxVariable> parameters;
  std::vector<PtxVariable> variables;  // .shared and .local ones of the body
  std::vector<PtxInstruction> instructions;
  std::map<std::string, int> labels;  // → index of the instruction that follows
  std::map<std::string, std::vector<std::string>> tables;  // .branchtargets
  std::vector<SourceLine> sources;
};

// An entry whose body is not parsed yet.
struct PtxEntry {
  std::string name;
  std::vector<PtxVariable> parameters;
  int max_threads = 0;  // .maxntid, 0 if not given
  std::string_view body;
};

struct PtxModule {
  std::string text;
  std::map<int, std::string> files;
  std::vector<PtxVariable> variables;
  std::map<std::string, PtxEntry> entries;
};

// Both throw Fault of kind unsupported for text they do not understand.
std::unique_ptr<PtxModule> parse_ptx_module(std::string text);
PtxFunction parse_ptx_body(const PtxModule& module, const PtxEntry& entry);

}  // namespace funnel::cudacpu
