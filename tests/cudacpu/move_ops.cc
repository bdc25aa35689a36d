// SPDX-License-Identifier: Apache-2.0
// mov, with packing and unpacking of vectors, and conversions between address spaces.
#include "tests/cudacpu/arithmetic.h"

namespace funnel::cudacpu {
namespace {

template <class T>
struct Same {
  static T f(T a) { return a; }
};

void run_move_predicate(Warp& warp, const Instruction& in, Mask mask) {
  keep_bits(warp, in.op[0], warp.predicate(in.op[1]), mask);
}

// `list` holds the parts, lowest first; `width` is a part's bytes, `detail` the whole's.
void run_pack(Warp& warp, const Instruction& in, Mask mask) {
  char* whole = warp.reg<char>(in.op[0]);
  const int bytes = static_cast<int>(in.detail);
  alignas(64) char out[kLanes * 8];
  for (int part = 0; part < in.count; ++part) {
    const char* from = warp.reg<char>(in.list[part]);
    for (int l = 0; l < kLanes; ++l) {
      std::memcpy(out + l * bytes + part * in.width, from + l * in.width, in.width);
    }
  }
  each_lane(mask, [&](int l) { std::memcpy(whole + l * bytes, out + l * bytes, bytes); });
}

void run_unpack(Warp& warp, const Instruction& in, Mask mask) {
  const int bytes = static_cast<int>(in.detail);
  alignas(64) char whole[kLanes * 8];
  std::memcpy(whole, warp.reg<char>(in.op[0]), kLanes * bytes);
  for (int part = 0; part < in.count; ++part) {
    char* to = warp.reg<char>(in.list[part]);
    each_lane(mask, [&](int l) {
      std::memcpy(to + l * in.width, whole + l * bytes + part * in.width, in.width);
    });
  }
}

int width_of(const std::string& type) {
  if (type == "pred") return 1;
  if (type.size() != 3) throw UnknownForm();
  const int width = std::stoi(type.substr(1));
  if (width != 16 && width != 32 && width != 64) throw UnknownForm();
  return width;
}

void build_vector(const PtxOperand& whole, const PtxOperand& parts, bool packs, int width,
                  Instruction& out, Decoder& decoder) {
  const auto count = static_cast<int>(parts.parts.size());
  const int part_width = width / count;
  if (part_width != 16 && part_width != 32) throw UnknownForm();
  std::vector<int32_t> slots;
  for (const PtxOperand& part : parts.parts) {
    slots.push_back(packs ? decoder.source(part, part_width)
                          : decoder.destination(part, part_width));
  }
  out.op[0] = packs ? decoder.destination(whole, width) : decoder.source(whole, width);
  out.list = decoder.list(slots);
  out.count = static_cast<uint8_t>(count);
  out.width = static_cast<uint8_t>(part_width / 8);
  out.detail = static_cast<uint32_t>(width / 8);
  out.run = packs ? run_pack : run_unpack;
}

void build_mov(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const int width = width_of(in.type());
  const PtxOperand& to = in.operands.at(0);
  const PtxOperand& from = in.operands.at(1);
  if (from.kind == PtxOperand::Kind::vector) {
    return build_vector(to, from, true, width, out, decoder);
  }
  if (to.kind == PtxOperand::Kind::vector) {
    return build_vector(from, to, false, width, out, decoder);
  }
  set_operands(in, out, decoder, {width, width});
  if (width == 1)
    out.run = run_move_predicate;
  else if (width == 16)
    out.run = unary<uint16_t, uint16_t, Same<uint16_t>>;
  else if (width == 32)
    out.run = unary<uint32_t, uint32_t, Same<uint32_t>>;
  else
    out.run = unary<uint64_t, uint64_t, Same<uint64_t>>;
}

// Global and constant addresses are generic ones; shared and local ones lie in a window.
void run_cvta(Warp& warp, const Instruction& in, Mask mask) {
  const uint64_t* a = warp.reg<uint64_t>(in.op[1]);
  const auto window = static_cast<uint64_t>(in.offset);
  const bool to_space = in.detail != 0;
  alignas(64) uint64_t out[kLanes];
  each_lane(mask, [&](int l) {
    if (to_space && window != 0 && (a[l] & kWindowMask) != window) {
      fail(warp, in, l, FaultKind::out_of_bounds, "the address is not in this space");
    }
    out[l] = to_space ? a[l] - window : a[l] + window;
  });
  keep(warp.reg<uint64_t>(in.op[0]), out, mask);
}

uint64_t window_of(const PtxInstruction& in) {
  if (in.has("shared") || in.has("shared::cta")) return kSharedWindow;
  if (in.has("local")) return kLocalWindow;
  if (in.has("global") || in.has("const") || in.has("param")) return 0;
  throw UnknownForm();
}

void build_cvta(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const uint64_t window = window_of(in);
  if (in.type() != "u64") throw UnknownForm();
  set_operands(in, out, decoder, {64, 64});
  out.offset = static_cast<int64_t>(window);
  out.detail = in.has("to") ? 1 : 0;
  out.run = window == 0 ? unary<uint64_t, uint64_t, Same<uint64_t>> : run_cvta;
}

void run_isspacep(Warp& warp, const Instruction& in, Mask mask) {
  const uint64_t* a = warp.reg<uint64_t>(in.op[1]);
  Mask out = 0;
  each_lane(mask, [&](int l) {
    const uint64_t window = a[l] & kWindowMask;
    const bool special = window == kSharedWindow || window == kLocalWindow;
    const bool is = in.offset == 0 ? !special : window == static_cast<uint64_t>(in.offset);
    if (is) out |= kLaneBits[l];
  });
  keep_bits(warp, in.op[0], out, mask);
}

void build_isspacep(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  set_operands(in, out, decoder, {1, 64});
  out.offset = static_cast<int64_t>(window_of(in));
  out.run = run_isspacep;
}

}  // namespace

std::vector<OpcodeEntry> move_opcodes() {
  return {{"mov", build_mov}, {"cvta", build_cvta}, {"isspacep", build_isspacep}};
}

}  // namespace funnel::cudacpu
