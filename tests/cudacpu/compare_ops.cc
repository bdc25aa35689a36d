// SPDX-License-Identifier: Apache-2.0
// setp, set, selp, slct and testp.
#include <cmath>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"

namespace funnel::cudacpu {
namespace {

// A comparison of PTX as three answers (less, equal, greater) and one for unordered operands.
struct Comparison {
  bool less, equal, greater, unordered;
};

bool find_comparison(const std::string& name, Comparison& out) {
  struct Named {
    const char* name;
    Comparison comparison;
  };
  static constexpr Named kAll[] = {
      {"eq", {false, true, false, false}}, {"ne", {true, false, true, false}},
      {"lt", {true, false, false, false}}, {"le", {true, true, false, false}},
      {"gt", {false, false, true, false}}, {"ge", {false, true, true, false}},
      {"lo", {true, false, false, false}}, {"ls", {true, true, false, false}},
      {"hi", {false, false, true, false}}, {"hs", {false, true, true, false}},
      {"equ", {false, true, false, true}}, {"neu", {true, false, true, true}},
      {"ltu", {true, false, false, true}}, {"leu", {true, true, false, true}},
      {"gtu", {false, false, true, true}}, {"geu", {false, true, true, true}},
      {"num", {true, true, true, false}},  {"nan", {false, false, false, true}}};
  for (const Named& one : kAll) {
    if (name != one.name) continue;
    out = one.comparison;
    return true;
  }
  return false;
}

constexpr uint32_t kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8;
constexpr uint32_t kAnd = 16, kOr = 32, kXor = 64;

uint32_t encode(const Comparison& c) {
  return (c.less ? kLess : 0) | (c.equal ? kEqual : 0) | (c.greater ? kGreater : 0) |
         (c.unordered ? kUnordered : 0);
}

template <class T>
Mask compare(const T* a, const T* b, uint32_t wanted) {
  alignas(64) uint8_t flags[kLanes];
  const auto less = static_cast<uint8_t>((wanted & kLess) != 0);
  const auto equal = static_cast<uint8_t>((wanted & kEqual) != 0);
  const auto greater = static_cast<uint8_t>((wanted & kGreater) != 0);
  const auto unordered = static_cast<uint8_t>((wanted & kUnordered) != 0);
  for (int l = 0; l < kLanes; ++l) {
    const uint8_t lt = a[l]<b[l], eq = a[l] == b[l], gt = a[l]> b[l];
    const uint8_t none = static_cast<uint8_t>(1 - lt - eq - gt);
    flags[l] =
        static_cast<uint8_t>((lt & less) | (eq & equal) | (gt & greater) | (none & unordered));
  }
  return gather_bits(flags);
}

// The operand as what is compared.
template <class T>
struct Plain {
  using Register = T;
  static Mask of(Warp& warp, const Instruction& in) {
    return compare(warp.reg<T>(in.op[2]), warp.reg<T>(in.op[3]), in.detail);
  }
};
template <class Format>
struct Half {
  using Register = uint16_t;
  static Mask of(Warp& warp, const Instruction& in) {
    float a[kLanes], b[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      a[l] = decode16<Format>(warp.reg<uint16_t>(in.op[2])[l]);
      b[l] = decode16<Format>(warp.reg<uint16_t>(in.op[3])[l]);
    }
    return compare(a, b, in.detail);
  }
};

Mask combine(uint32_t detail, Mask bits, Mask other) {
  if ((detail & kAnd) != 0) return bits & other;
  if ((detail & kOr) != 0) return bits | other;
  if ((detail & kXor) != 0) return bits ^ other;
  return bits;
}

// op: p, q (or -1), a, b, c (or -1).
template <class Operands>
void run_setp(Warp& warp, const Instruction& in, Mask mask) {
  const Mask bits = Operands::of(warp, in);
  Mask c = in.op[4] < 0 ? 0 : warp.predicate(in.op[4]);
  if (in.width != 0) c = ~c;
  keep_bits(warp, in.op[0], combine(in.detail, bits, c), mask);
  if (in.op[1] >= 0) keep_bits(warp, in.op[1], combine(in.detail, ~bits, c), mask);
}

template <class Operands, bool Float>
void run_set(Warp& warp, const Instruction& in, Mask mask) {
  const Mask bits = Operands::of(warp, in);
  const Mask c = in.op[4] < 0 ? 0 : warp.predicate(in.op[4]);
  const Mask result = combine(in.detail, bits, c);
  const uint32_t yes = Float ? std::bit_cast<uint32_t>(1.0f) : ~0u;
  alignas(64) uint32_t out[kLanes];
  for (int l = 0; l < kLanes; ++l) out[l] = (result & kLaneBits[l]) != 0 ? yes : 0;
  keep(warp.reg<uint32_t>(in.op[0]), out, mask);
}

// Calls f<Operands>() for the type compared.
template <class F>
void with_compared(const std::string& type, F f) {
  if (type == "f32") return f.template operator()<Plain<float>>();
  if (type == "f64") return f.template operator()<Plain<double>>();
  if (type == "f16") return f.template operator()<Half<Half16>>();
  if (type == "bf16") return f.template operator()<Half<BFloat16>>();
  if (type[0] == 'b') {
    return with_bits(type, [&]<class T>() { f.template operator()<Plain<T>>(); });
  }
  with_integer(type, [&]<class T>() { f.template operator()<Plain<T>>(); });
}

// Everything but the destination: "setp.lt.and.s32 p, a, b, c".
template <class Operands>
void set_comparison(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  Comparison comparison{};
  if (!find_comparison(in.parts.at(1), comparison)) throw UnknownForm();
  out.detail = encode(comparison) | (in.has("and") ? kAnd : 0) | (in.has("or") ? kOr : 0) |
               (in.has("xor") ? kXor : 0);
  const int width = bits<typename Operands::Register>;
  out.op[2] = decoder.source(in.operands.at(1), width);
  out.op[3] = decoder.source(in.operands.at(2), width);
  if (in.operands.size() == 3) return;
  PtxOperand c = in.operands[3];
  out.width = c.negated ? 1 : 0;
  c.negated = false;
  out.op[4] = decoder.source(c, 1);
}

void build_setp(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.has("ftz")) throw UnknownForm();
  const PtxOperand& target = in.operands.at(0);
  if (target.kind == PtxOperand::Kind::pair) {
    out.op[0] = decoder.destination(target.parts[0], 1);
    out.op[1] = decoder.destination(target.parts[1], 1);
  } else {
    out.op[0] = decoder.destination(target, 1);
  }
  with_compared(in.type(), [&]<class Operands>() {
    set_comparison<Operands>(in, out, decoder);
    out.run = run_setp<Operands>;
  });
}

void build_set(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.has("ftz") || in.parts.size() < 4) throw UnknownForm();
  const std::string& result = in.parts[in.parts.size() - 2];
  if (result != "u32" && result != "s32" && result != "f32") throw UnknownForm();
  out.op[0] = decoder.destination(in.operands.at(0), 32);
  with_compared(in.type(), [&]<class Operands>() {
    set_comparison<Operands>(in, out, decoder);
    if (out.width != 0) throw UnknownForm();
    out.run = result == "f32" ? run_set<Operands, true> : run_set<Operands, false>;
  });
}

template <class T>
void run_selp(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  const T* b = warp.reg<T>(in.op[2]);
  const Mask p = warp.predicate(in.op[3]);
  alignas(64) T out[kLanes];
  for (int l = 0; l < kLanes; ++l) out[l] = (p & kLaneBits[l]) != 0 ? a[l] : b[l];
  keep(warp.reg<T>(in.op[0]), out, mask);
}

int width_of(const std::string& type) {
  if (type == "b16" || type == "u16" || type == "s16" || type == "f16" || type == "bf16") return 16;
  if (type == "b64" || type == "u64" || type == "s64" || type == "f64") return 64;
  if (type == "b32" || type == "u32" || type == "s32" || type == "f32") return 32;
  throw UnknownForm();
}

void build_selp(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const int width = width_of(in.type());
  set_operands(in, out, decoder, {width, width, width, 1});
  out.run = width == 16   ? run_selp<uint16_t>
            : width == 32 ? run_selp<uint32_t>
                          : run_selp<uint64_t>;
}

template <class T, class C>
struct SelectBySign {
  static T f(T a, T b, C c) { return c >= 0 ? a : b; }
};

void build_slct(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const int width = width_of(in.parts.at(in.parts.size() - 2));
  const auto set = [&]<class C>() {
    if (width == 32)
      set_ternary<uint32_t, uint32_t, uint32_t, C, SelectBySign<uint32_t, C>>(in, out, decoder);
    else if (width == 64)
      set_ternary<uint64_t, uint64_t, uint64_t, C, SelectBySign<uint64_t, C>>(in, out, decoder);
    else
      throw UnknownForm();
  };
  if (in.type() == "s32")
    set.template operator()<int32_t>();
  else if (in.type() == "f32")
    set.template operator()<float>();
  else
    throw UnknownForm();
}

enum class Test : uint32_t { finite, infinite, number, notanumber, normal, subnormal };
constexpr const char* kTests[] = {"finite",     "infinite", "number",
                                  "notanumber", "normal",   "subnormal"};

template <class T>
void run_testp(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  Mask out = 0;
  each_lane(mask, [&](int l) {
    bool is = false;
    switch (static_cast<Test>(in.detail)) {
      case Test::finite:
        is = std::isfinite(a[l]);
        break;
      case Test::infinite:
        is = std::isinf(a[l]);
        break;
      case Test::number:
        is = !std::isnan(a[l]);
        break;
      case Test::notanumber:
        is = std::isnan(a[l]);
        break;
      case Test::normal:
        is = std::isnormal(a[l]) || a[l] == 0;
        break;
      case Test::subnormal:
        is = std::fpclassify(a[l]) == FP_SUBNORMAL;
        break;
    }
    if (is) out |= kLaneBits[l];
  });
  keep_bits(warp, in.op[0], out, mask);
}

void build_testp(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  for (uint32_t i = 0; i < std::size(kTests); ++i) {
    if (in.parts.at(1) != kTests[i]) continue;
    out.detail = i;
    const bool wide = in.type() == "f64";
    set_operands(in, out, decoder, {1, wide ? 64 : 32});
    out.run = wide ? run_testp<double> : run_testp<float>;
    return;
  }
  throw UnknownForm();
}

}  // namespace

std::vector<OpcodeEntry> compare_opcodes() {
  return {{"setp", build_setp},
          {"set", build_set},
          {"selp", build_selp},
          {"slct", build_slct},
          {"testp", build_testp}};
}

}  // namespace funnel::cudacpu
