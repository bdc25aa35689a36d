// SPDX-License-Identifier: Apache-2.0
// cvt: between all integer and floating-point types, in all rounding modes. The forms that kernels
// use in inner loops are vectorised; every other one goes through one general conversion.
#include <cmath>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"

namespace funnel::cudacpu {
namespace {

enum class Kind : uint8_t { sint, uint, f16, bf16, f32, f64 };
struct Type {
  Kind kind;
  uint8_t bytes;
  bool integer() const { return kind == Kind::sint || kind == Kind::uint; }
};

Type type_named(const std::string& name) {
  if (name == "f32") return {Kind::f32, 4};
  if (name == "f64") return {Kind::f64, 8};
  if (name == "f16") return {Kind::f16, 2};
  if (name == "bf16") return {Kind::bf16, 2};
  const size_t bits = name.size() > 1 ? std::stoul(std::string("0").append(name, 1)) : 0;
  const bool fits = bits == 8 || bits == 16 || bits == 32 || bits == 64;
  if (!fits || (name[0] != 's' && name[0] != 'u')) throw UnknownForm();
  return {name[0] == 's' ? Kind::sint : Kind::uint, static_cast<uint8_t>(bits / 8)};
}

// How one cvt works; packed into Instruction::detail.
struct Plan {
  Type to, from;
  Rounding rounding;
  bool to_integer_value;  // .rni and the like: the result is integral
  bool saturate, flush, relu;
  uint8_t register_bytes[2];  // of destination and source
};

// One lane's value: an integer, or a real number.
struct Value {
  bool integer = false;
  Int128 whole = 0;
  Exact real;
};

Value load(const Plan& plan, const char* from) {
  uint64_t raw = 0;
  std::memcpy(&raw, from, plan.from.bytes);
  const int unused = 64 - 8 * plan.from.bytes;
  switch (plan.from.kind) {
    case Kind::sint:
      return {true, static_cast<int64_t>(raw << unused) >> unused, {}};
    case Kind::uint:
      return {true, static_cast<Int128>(raw), {}};
    case Kind::f16:
      return {false, 0, {f16_to_float(static_cast<uint16_t>(raw)), 0}};
    case Kind::bf16:
      return {false, 0, {bf16_to_float(static_cast<uint16_t>(raw)), 0}};
    case Kind::f32: {
      float value = std::bit_cast<float>(static_cast<uint32_t>(raw));
      if (plan.flush && std::fabs(value) < FLT_MIN) value = std::copysign(0.0f, value);
      return {false, 0, {value, 0}};
    }
    case Kind::f64:
      return {false, 0, {std::bit_cast<double>(raw), 0}};
  }
  return {};
}

double round_to_whole(double value, Rounding mode) {
  switch (mode) {
    case Rounding::nearest:
      return std::nearbyint(value);
    case Rounding::zero:
      return std::trunc(value);
    case Rounding::down:
      return std::floor(value);
    case Rounding::up:
      return std::ceil(value);
  }
  return value;
}

// Float sources are clamped to the range; integer sources are cut off unless .sat.
uint64_t to_integer(const Plan& plan, const Value& value) {
  const int width = 8 * plan.to.bytes;
  const bool is_signed = plan.to.kind == Kind::sint;
  const Int128 least = is_signed ? -(Int128{1} << (width - 1)) : 0;
  const Int128 most = is_signed ? (Int128{1} << (width - 1)) - 1 : (Int128{1} << width) - 1;
  Int128 whole = value.whole;
  if (!value.integer) {
    const double x = round_to_whole(value.real.value, plan.rounding);
    if (std::isnan(x)) {
      const bool high_bit = plan.from.kind == Kind::f64 || width == 64;
      return high_bit ? uint64_t{1} << (width - 1) : 0;
    }
    whole = x <= static_cast<double>(least)  ? least
            : x >= static_cast<double>(most) ? most
                                             : static_cast<Int128>(x);
  } else if (plan.saturate) {
    whole = whole < least ? least : whole > most ? most : whole;
  }
  return static_cast<uint64_t>(whole);
}

float to_f32(Exact exact, Rounding mode) {
  switch (mode) {
    case Rounding::nearest:
      return round_to_f32<Rounding::nearest>(exact);
    case Rounding::zero:
      return round_to_f32<Rounding::zero>(exact);
    case Rounding::down:
      return round_to_f32<Rounding::down>(exact);
    case Rounding::up:
      return round_to_f32<Rounding::up>(exact);
  }
  return 0;
}

double to_f64(Exact exact, Rounding mode) {
  const double x = exact.value;
  const bool toward_zero_down = mode == Rounding::zero && x > 0;
  if (exact.rest < 0 && (mode == Rounding::down || toward_zero_down)) {
    return std::nextafter(x, -HUGE_VAL);
  }
  const bool toward_zero_up = mode == Rounding::zero && x < 0;
  if (exact.rest > 0 && (mode == Rounding::up || toward_zero_up)) {
    return std::nextafter(x, HUGE_VAL);
  }
  return x;
}

uint64_t to_real(const Plan& plan, const Value& value) {
  Exact exact = value.real;
  if (value.integer) {
    exact.value = static_cast<double>(value.whole);
    exact.rest = static_cast<double>(value.whole - static_cast<Int128>(exact.value));
  }
  if (plan.to_integer_value) exact.value = round_to_whole(exact.value, plan.rounding);
  if (plan.saturate) exact.value = exact.value > 0 ? std::fmin(exact.value, 1.0) : 0.0;
  if (plan.relu && exact.value < 0) exact.value = 0;
  switch (plan.to.kind) {
    case Kind::f16:
      return round16<Half16>(exact, plan.rounding);
    case Kind::bf16:
      return round16<BFloat16>(exact, plan.rounding);
    case Kind::f32: {
      float x = to_f32(exact, plan.rounding);
      if (plan.flush && std::fabs(x) < FLT_MIN) x = std::copysign(0.0f, x);
      return std::bit_cast<uint32_t>(x);
    }
    default:
      return std::bit_cast<uint64_t>(to_f64(exact, plan.rounding));
  }
}

Plan unpack(const Instruction& in) {
  const uint32_t d = in.detail;
  const auto kind = [&](int at) { return static_cast<Kind>((d >> at) & 7); };
  const auto bytes = [&](int at) { return static_cast<uint8_t>(1u << ((d >> at) & 3)); };
  Plan plan;
  plan.to = {kind(0), bytes(3)};
  plan.from = {kind(5), bytes(8)};
  plan.rounding = static_cast<Rounding>((d >> 10) & 3);
  plan.to_integer_value = ((d >> 12) & 1) != 0;
  plan.saturate = ((d >> 13) & 1) != 0;
  plan.flush = ((d >> 14) & 1) != 0;
  plan.relu = ((d >> 15) & 1) != 0;
  plan.register_bytes[0] = bytes(16);
  plan.register_bytes[1] = bytes(18);
  return plan;
}

uint32_t pack(const Plan& plan) {
  const auto log = [](int bytes) {
    return static_cast<uint32_t>(std::countr_zero(unsigned(bytes)));
  };
  return static_cast<uint32_t>(plan.to.kind) | log(plan.to.bytes) << 3 |
         static_cast<uint32_t>(plan.from.kind) << 5 | log(plan.from.bytes) << 8 |
         static_cast<uint32_t>(plan.rounding) << 10 | uint32_t{plan.to_integer_value} << 12 |
         uint32_t{plan.saturate} << 13 | uint32_t{plan.flush} << 14 | uint32_t{plan.relu} << 15 |
         log(plan.register_bytes[0]) << 16 | log(plan.register_bytes[1]) << 18;
}

// A result narrower than its register is extended by its sign or by zeros.
void run_general(Warp& warp, const Instruction& in, Mask mask) {
  const Plan plan = unpack(in);
  const int to = plan.register_bytes[0], from = plan.register_bytes[1];
  each_lane(mask, [&](int lane) {
    const Value value = load(plan, warp.reg<char>(in.op[1]) + lane * from);
    uint64_t out = plan.to.integer() ? to_integer(plan, value) : to_real(plan, value);
    const int unused = 64 - 8 * plan.to.bytes;
    out = plan.to.kind == Kind::sint
              ? static_cast<uint64_t>(static_cast<int64_t>(out << unused) >> unused)
              : (out << unused) >> unused;
    std::memcpy(warp.reg<char>(in.op[0]) + lane * to, &out, to);
  });
}

// Two f32 to a packed pair; the first source goes to the upper half.
template <class Format>
void run_pair(Warp& warp, const Instruction& in, Mask mask) {
  const float* high = warp.reg<float>(in.op[1]);
  const float* low = warp.reg<float>(in.op[2]);
  alignas(64) uint32_t out[kLanes];
  const auto mode = static_cast<Rounding>(in.detail & 3);
  const bool relu = (in.detail & 4) != 0;
  const auto one = [&](float x) -> uint32_t {
    return round16<Format>({relu && x < 0 ? 0.0f : x, 0}, mode);
  };
  each_lane(mask, [&](int l) { out[l] = one(high[l]) << 16 | one(low[l]); });
  keep(warp.reg<uint32_t>(in.op[0]), out, mask);
}

struct PairToBf16 {
  static uint32_t f(float high, float low) {
    return uint32_t{float_to_bf16(high)} << 16 | float_to_bf16(low);
  }
};
struct ToBf16 {
  static uint16_t f(float a) { return float_to_bf16(a); }
};
struct FromBf16 {
  static float f(uint16_t a) { return bf16_to_float(a); }
};
struct FromF16 {
  static float f(uint16_t a) { return f16_to_float(a); }
};
template <class D, class S>
struct Cast {
  static D f(S a) { return static_cast<D>(a); }
};
// float to s32 toward zero, clamped; NaN gives 0.
struct Truncate {
  static int32_t f(float a) {
    const float in_range = a < -0x1p31f ? -0x1p31f : a > 0x1.fffffep30f ? 0x1.fffffep30f : a;
    const auto whole = static_cast<int32_t>(a != a ? 0.0f : in_range);
    return a >= 0x1p31f ? INT32_MAX : whole;
  }
};

Rounding rounding_of(const PtxInstruction& in) {
  if (in.has("rz") || in.has("rzi")) return Rounding::zero;
  if (in.has("rm") || in.has("rmi")) return Rounding::down;
  if (in.has("rp") || in.has("rpi")) return Rounding::up;
  return Rounding::nearest;
}

void build_pair(const PtxInstruction& in, Instruction& out, Decoder& decoder, bool bf16) {
  const Rounding mode = rounding_of(in);
  if (in.type() != "f32" || in.has("satfinite")) throw UnknownForm();
  set_operands(in, out, decoder, {32, 32, 32});
  out.detail = static_cast<uint32_t>(mode) | (in.has("relu") ? 4 : 0);
  if (bf16 && out.detail == 0)
    out.run = binary<uint32_t, float, float, PairToBf16>;
  else
    out.run = bf16 ? run_pair<BFloat16> : run_pair<Half16>;
}

// A vectorised handler for a common form, or null.
Handler common_form(const std::string& form) {
  struct Entry {
    const char* form;
    Handler run;
  };
  static constexpr Entry kAll[] = {
      {"rn.bf16.f32", unary<uint16_t, float, ToBf16>},
      {"f32.bf16", unary<float, uint16_t, FromBf16>},
      {"f32.f16", unary<float, uint16_t, FromF16>},
      {"rn.f32.s32", unary<float, int32_t, Cast<float, int32_t>>},
      {"rn.f32.u32", unary<float, uint32_t, Cast<float, uint32_t>>},
      {"rn.f32.s64", unary<float, int64_t, Cast<float, int64_t>>},
      {"rn.f32.u64", unary<float, uint64_t, Cast<float, uint64_t>>},
      {"rn.f32.f64", unary<float, double, Cast<float, double>>},
      {"f64.f32", unary<double, float, Cast<double, float>>},
      {"rzi.s32.f32", unary<int32_t, float, Truncate>},
      {"u64.u32", unary<uint64_t, uint32_t, Cast<uint64_t, uint32_t>>},
      {"s64.s32", unary<int64_t, int32_t, Cast<int64_t, int32_t>>},
      {"u32.u64", unary<uint32_t, uint64_t, Cast<uint32_t, uint64_t>>},
      {"s32.s64", unary<uint32_t, uint64_t, Cast<uint32_t, uint64_t>>},
      {"u32.u16", unary<uint32_t, uint16_t, Cast<uint32_t, uint16_t>>},
      {"s32.s16", unary<int32_t, int16_t, Cast<int32_t, int16_t>>},
      {"u16.u32", unary<uint16_t, uint32_t, Cast<uint16_t, uint32_t>>}};
  for (const Entry& one : kAll) {
    if (form == one.form) return one.run;
  }
  return nullptr;
}

void build_cvt(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.has("satfinite") || in.has("pack") || in.has("scaled") || in.parts.size() < 3) {
    throw UnknownForm();
  }
  const std::string& to_name = in.parts[in.parts.size() - 2];
  if (to_name == "bf16x2") return build_pair(in, out, decoder, true);
  if (to_name == "f16x2") return build_pair(in, out, decoder, false);
  Plan plan{};
  plan.to = type_named(to_name);
  plan.from = type_named(in.type());
  plan.rounding = rounding_of(in);
  plan.to_integer_value = in.has("rni") || in.has("rzi") || in.has("rmi") || in.has("rpi");
  plan.saturate = in.has("sat");
  plan.flush = in.has("ftz");
  plan.relu = in.has("relu");
  const int to = decoder.bits_of(in.operands.at(0), 0);
  const int from = decoder.bits_of(in.operands.at(1), std::max(16, 8 * plan.from.bytes));
  if (to < 8 * plan.to.bytes || from < 8 * plan.from.bytes) throw UnknownForm();
  plan.register_bytes[0] = static_cast<uint8_t>(to / 8);
  plan.register_bytes[1] = static_cast<uint8_t>(from / 8);
  set_operands(in, out, decoder, {to, from});
  out.detail = pack(plan);
  std::string form;
  for (size_t i = 1; i < in.parts.size(); ++i) form += (i > 1 ? "." : "") + in.parts[i];
  const bool whole_registers = to == 8 * plan.to.bytes && from == 8 * plan.from.bytes;
  out.run = whole_registers ? common_form(form) : nullptr;
  if (out.run == nullptr) out.run = run_general;
}

}  // namespace

std::vector<OpcodeEntry> convert_opcodes() {
  return {{"cvt", build_cvt}};
}

}  // namespace funnel::cudacpu
