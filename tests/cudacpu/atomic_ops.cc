// SPDX-License-Identifier: Apache-2.0
// atom and red. Lanes take turns in ascending order.
#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"
#include "tests/cudacpu/memory_access.h"

namespace funnel::cudacpu {
namespace {

enum class Op : uint32_t { add, exch, cas, min, max, inc, dec, land, lor, lxor };
constexpr const char* kNames[] = {"add", "exch", "cas", "min", "max",
                                  "inc", "dec",  "and", "or",  "xor"};

template <class T>
T apply(Op op, T old, T value, T other) {
  switch (op) {
    case Op::add:
      if constexpr (std::is_integral_v<T>)
        return static_cast<T>(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(value));
      else
        return old + value;
    case Op::exch:
      return value;
    case Op::cas:
      return old == value ? other : old;
    case Op::min:
      return value < old ? value : old;
    case Op::max:
      return value > old ? value : old;
    case Op::inc:
      return old >= value ? T{0} : static_cast<T>(old + 1);
    case Op::dec:
      return old == T{0} || old > value ? value : static_cast<T>(old - 1);
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) {
    if (op == Op::land) return old & value;
    if (op == Op::lor) return old | value;
    return old ^ value;
  }
  return old;
}

// op: result (or -1), address, value, other value (cas).
template <class T>
void run_atomic(Warp& warp, const Instruction& in, Mask mask) {
  const T* values = warp.reg<T>(in.op[2]);
  const T* others = in.op[3] < 0 ? values : warp.reg<T>(in.op[3]);
  alignas(64) T out[kLanes];
  const auto op = static_cast<Op>(in.detail & 0xFF);
  with_requests(warp, in, mask, 1, sizeof(T), [&](Request& request) {
    observe(warp, in, request, AccessKind::atomic);
    each_lane(request.mask, [&](int l) {
      std::memcpy(&out[l], request.host[l], sizeof(T));
      const T updated = apply(op, out[l], values[l], others[l]);
      std::memcpy(request.host[l], &updated, sizeof(T));
    });
  });
  if (in.op[0] >= 0) keep(warp.reg<T>(in.op[0]), out, mask);
}

// Pairs of halves: each half is added on its own and rounded once.
template <class Format>
void run_atomic_pair(Warp& warp, const Instruction& in, Mask mask) {
  const uint32_t* values = warp.reg<uint32_t>(in.op[2]);
  alignas(64) uint32_t out[kLanes];
  with_requests(warp, in, mask, 1, 4, [&](Request& request) {
    observe(warp, in, request, AccessKind::atomic);
    each_lane(request.mask, [&](int l) {
      std::memcpy(&out[l], request.host[l], 4);
      uint32_t updated = 0;
      for (int part = 0; part < 32; part += 16) {
        const Exact sum = exact_sum(decode16<Format>(static_cast<uint16_t>(out[l] >> part)),
                                    decode16<Format>(static_cast<uint16_t>(values[l] >> part)));
        updated |= uint32_t{round16<Format>(sum, Rounding::nearest)} << part;
      }
      std::memcpy(request.host[l], &updated, 4);
    });
  });
  if (in.op[0] >= 0) keep(warp.reg<uint32_t>(in.op[0]), out, mask);
}

void set_type(const PtxInstruction& in, Instruction& out, Op op, int& width) {
  const std::string& type = in.type();
  width = type == "u64" || type == "s64" || type == "b64" || type == "f64" ? 64 : 32;
  const bool adds = op == Op::add;
  if (type == "u32" || type == "b32")
    out.run = run_atomic<uint32_t>;
  else if (type == "s32")
    out.run = run_atomic<int32_t>;
  else if (type == "u64" || type == "b64")
    out.run = run_atomic<uint64_t>;
  else if (type == "s64")
    out.run = run_atomic<int64_t>;
  else if (type == "f32" && adds)
    out.run = run_atomic<float>;
  else if (type == "f64" && adds)
    out.run = run_atomic<double>;
  else if (type == "bf16x2" && adds)
    out.run = run_atomic_pair<BFloat16>;
  else if (type == "f16x2" && adds)
    out.run = run_atomic_pair<Half16>;
  else
    throw UnknownForm();
}

void build_atomic(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const bool returns = in.opcode() == "atom";
  if (in.has("v2") || in.has("v4") || in.has("shared::cluster")) throw UnknownForm();
  Op op = Op::add;
  bool found = false;
  for (uint32_t i = 0; i < std::size(kNames); ++i) {
    if (in.has(kNames[i])) op = static_cast<Op>(i), found = true;
  }
  if (!found) throw UnknownForm();
  int width = 32;
  set_type(in, out, op, width);
  size_t at = 0;
  if (returns) out.op[0] = decoder.destination(in.operands.at(at++), width);
  decoder.address(in.operands.at(at++), 1, out);
  out.op[2] = decoder.source(in.operands.at(at++), width);
  if (op == Op::cas) out.op[3] = decoder.source(in.operands.at(at++), width);
  out.detail |= static_cast<uint32_t>(op);
  out.space = in.has("global")                            ? Space::global
              : in.has("shared") || in.has("shared::cta") ? Space::shared
                                                          : Space::generic;
}

}  // namespace

std::vector<OpcodeEntry> atomic_opcodes() {
  return {{"atom", build_atomic}, {"red", build_atomic}};
}

}  // namespace funnel::cudacpu
