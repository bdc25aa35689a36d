// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/decode.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace funnel::cudacpu {
namespace {

const std::unordered_map<std::string, Builder>& builders() {
  static const auto* all = [] {
    auto* map = new std::unordered_map<std::string, Builder>;
    for (const auto& list :
         {integer_opcodes(), bit_opcodes(), float_opcodes(), approximate_opcodes(),
          compare_opcodes(), convert_opcodes(), move_opcodes(), memory_opcodes(), atomic_opcodes(),
          control_opcodes(), barrier_opcodes(), warp_opcodes(), matrix_opcodes(),
          async_opcodes()}) {
      for (const OpcodeEntry& one : list) map->emplace(one.opcode, one.build);
    }
    return map;
  }();
  return *all;
}

void run_unknown(Warp& warp, const Instruction& in, Mask mask) {
  fail(warp, in, lowest_lane(mask), FaultKind::unsupported,
       "the interpreter does not know this instruction");
}

int bytes_of(int bits) {
  return bits == 1 ? 4 : kLanes * bits / 8;
}

}  // namespace

Program decode(PtxFunction function, const SymbolTable& symbols) {
  Program program;
  program.function = std::move(function);
  Decoder(program, symbols).decode_all();
  return program;
}

Decoder::Decoder(Program& program, const SymbolTable& symbols)
    : program_(program), symbols_(symbols) {
  for (const auto& [name, bits] : function().registers) slots_[name] = allocate(bits);
  place_shared_variables();
  for (const PtxVariable& one : function().variables) {
    if (one.space == ".local") {
      program_.local_bytes = std::max(program_.local_bytes, one.offset + one.bytes);
    }
  }
  program_.local_bytes = (program_.local_bytes + 15) / 16 * 16;
  for (const PtxVariable& one : function().parameters) {
    program_.parameter_bytes = std::max(program_.parameter_bytes, one.offset + one.bytes);
  }
}

int32_t Decoder::allocate(int bits) {
  const auto slot = static_cast<int32_t>(program_.registers.size());
  program_.registers.resize(slot + (bytes_of(bits) + 63) / 64 * 64);
  return slot;
}

// The shared variables that this kernel names: its own, those of the module, and behind them the
// dynamic ones, which all begin at the same place.
void Decoder::place_shared_variables() {
  std::vector<std::string> dynamic;
  int64_t end = 0, dynamic_align = 1;
  const auto place = [&](const std::string& name, int64_t bytes, int64_t align) {
    if (bytes == 0) {
      dynamic.push_back(name);
      dynamic_align = std::max(dynamic_align, align);
      return;
    }
    shared_[name] = (end + align - 1) / align * align;
    end = shared_[name] + bytes;
  };
  for (const PtxVariable& one : function().variables) {
    if (one.space == ".shared") place(one.name, one.bytes, one.align);
  }
  for (const PtxInstruction& in : function().instructions) {
    for (const PtxOperand& operand : in.operands) {
      int64_t align = 1;
      if (operand.name.empty() || shared_.count(operand.name) != 0) continue;
      const int64_t bytes = symbols_.shared_bytes(operand.name, &align);
      if (bytes >= 0) place(operand.name, bytes, align);
    }
  }
  program_.shared_bytes = end;
  program_.dynamic_shared_offset = (end + dynamic_align - 1) / dynamic_align * dynamic_align;
  for (const std::string& name : dynamic) shared_[name] = program_.dynamic_shared_offset;
}

void Decoder::decode_all() {
  for (size_t i = 0; i < function().instructions.size(); ++i) {
    const PtxInstruction& in = function().instructions[i];
    Instruction out;
    out.index = static_cast<int32_t>(i);
    try {
      const auto found = builders().find(in.opcode());
      if (found == builders().end()) throw UnknownForm();
      found->second(in, out, *this);
    } catch (const UnknownForm&) {
      out.run = run_unknown;
    } catch (const std::out_of_range&) {  // fewer operands than the opcode takes
      out.run = run_unknown;
    }
    if (!in.guard.empty()) {
      out.guard = slots_.at(in.guard);
      out.guard_flip = in.guard_negated ? kAllLanes : 0;
    }
    program_.code.push_back(out);
  }
}

int32_t Decoder::constant(uint64_t value, int bits) {
  if (bits < 64) value &= (uint64_t{1} << bits) - 1;
  const auto [found, made] = constants_.try_emplace({value, bits}, 0);
  if (!made) return found->second;
  const int32_t slot = found->second = allocate(bits);
  char* lanes = program_.registers.data() + slot;
  if (bits == 1) {
    const Mask all = value != 0 ? kAllLanes : 0;
    std::memcpy(lanes, &all, sizeof all);
  } else {
    for (int lane = 0; lane < kLanes; ++lane) {
      std::memcpy(lanes + lane * bits / 8, &value, bits / 8);
    }
  }
  return slot;
}

int32_t Decoder::special(const std::string& name, int bits) {
  const std::string key = name + "/" + std::to_string(bits);
  const auto found = slots_.find(key);
  if (found != slots_.end()) return found->second;
  static const char* const known[] = {"%tid",
                                      "%ntid",
                                      "%ctaid",
                                      "%nctaid",
                                      "%laneid",
                                      "%warpid",
                                      "%nwarpid",
                                      "%lanemask",
                                      "%smid",
                                      "%nsmid",
                                      "%gridid",
                                      "%dynamic_smem_size",
                                      "%total_smem_size"};
  const bool fits = std::any_of(std::begin(known), std::end(known),
                                [&](const char* one) { return name.rfind(one, 0) == 0; });
  // 16- and 64-bit reads of special registers do not come out of nvcc.
  if (!fits || bits != 32) throw UnknownForm();
  const int32_t slot = allocate(32);
  slots_[key] = slot;
  program_.specials.push_back({name, slot});
  return slot;
}

uint64_t Decoder::symbol(const std::string& name) const {
  const auto shared = shared_.find(name);
  if (shared != shared_.end()) return static_cast<uint64_t>(shared->second);
  for (const PtxVariable& one : function().variables) {
    if (one.name == name) return static_cast<uint64_t>(one.offset);
  }
  for (const PtxVariable& one : function().parameters) {
    if (one.name == name) return kParameterWindow + static_cast<uint64_t>(one.offset);
  }
  const uint64_t address = symbols_.address_of(name);
  if (address == 0) throw UnknownForm();
  return address;
}

int32_t Decoder::source(const PtxOperand& operand, int bits) {
  if (operand.kind == PtxOperand::Kind::immediate) {
    if (operand.float_width == 64 && bits == 32) {
      const auto narrow = static_cast<float>(std::bit_cast<double>(operand.bits));
      return constant(std::bit_cast<uint32_t>(narrow), 32);
    }
    if (operand.float_width == 32 && bits != 32) throw UnknownForm();
    return constant(operand.bits, bits);
  }
  if (operand.kind != PtxOperand::Kind::name || operand.negated) throw UnknownForm();
  const auto found = function().registers.find(operand.name);
  if (found != function().registers.end()) {
    if (found->second != bits) throw UnknownForm();
    return slots_.at(operand.name);
  }
  if (operand.name == "WARP_SZ") return constant(kLanes, bits);
  if (operand.name[0] == '%') return special(operand.name, bits);
  return constant(symbol(operand.name) + static_cast<uint64_t>(operand.offset), bits);
}

int32_t Decoder::destination(const PtxOperand& operand, int bits) {
  // "_" drops a result; it gets a slot that nobody reads.
  if (operand.name == "_") {
    const auto [found, made] = slots_.try_emplace("_/" + std::to_string(bits), 0);
    if (made) found->second = allocate(bits);
    return found->second;
  }
  const auto found = function().registers.find(operand.name);
  if (operand.kind != PtxOperand::Kind::name || found == function().registers.end() ||
      found->second != bits) {
    throw UnknownForm();
  }
  return slots_.at(operand.name);
}

int Decoder::bits_of(const PtxOperand& operand, int otherwise) const {
  const auto found = function().registers.find(operand.name);
  if (found != function().registers.end()) return found->second;
  return operand.name.empty() || operand.name[0] != '%' ? otherwise : 32;
}

void Decoder::address(const PtxOperand& operand, int slot, Instruction& out) {
  if (operand.kind != PtxOperand::Kind::address) throw UnknownForm();
  out.offset = operand.offset;
  const auto found = function().registers.find(operand.name);
  if (found != function().registers.end()) {
    out.op[slot] = slots_.at(operand.name);
    if (found->second == 32) out.detail |= 0x80000000u;
    return;
  }
  out.op[slot] = constant(operand.name.empty() ? 0 : symbol(operand.name), 64);
}

const int32_t* Decoder::list(const std::vector<int32_t>& slots) {
  auto copy = std::make_unique<int32_t[]>(slots.size());
  std::copy(slots.begin(), slots.end(), copy.get());
  program_.lists.push_back(std::move(copy));
  return program_.lists.back().get();
}

int Decoder::label(const std::string& name) const {
  const auto found = function().labels.find(name);
  if (found == function().labels.end()) throw UnknownForm();
  return found->second;
}

}  // namespace funnel::cudacpu
