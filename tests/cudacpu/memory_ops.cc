// SPDX-License-Identifier: Apache-2.0
// ld and st in all spaces, of one to eight elements, and the hints that need no action.
#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/memory_access.h"

namespace funnel::cudacpu {
namespace {

// Lanes side by side, as most are: one copy.
bool side_by_side(const Request& request, int bytes) {
  if (request.mask != kAllLanes) return false;
  for (int l = 1; l < kLanes; ++l) {
    if (request.host[l] != request.host[l - 1] + bytes) return false;
  }
  return true;
}

// Lanes that store to the same place must store the same value: which one stays is up to the
// device.
template <class M, class R>
void check_stored(Warp& warp, const Instruction& in, const Request& request) {
  for (int element = 0; element < in.count; ++element) {
    const R* from = warp.reg<R>(in.list[element]);
    each_lane(request.mask, [&](int l) {
      const auto value = static_cast<M>(from[l]);
      if (std::memcmp(&value, request.host[l] + element * sizeof(M), sizeof(M)) == 0) return;
      fail(warp, in, l, FaultKind::race, "lanes of the warp store different values here");
    });
  }
}

// M is the type in memory, R that of the register, which may be wider.
template <class M, class R>
void run_load(Warp& warp, const Instruction& in, Mask mask) {
  const int bytes = static_cast<int>(sizeof(M)) * in.count;
  with_requests(warp, in, mask, 1, bytes, [&](Request& request) {
    if (request.space != Space::parameter) {
      observe(warp, in, request, in.atomic ? AccessKind::atomic_read : AccessKind::read);
    }
    if (in.count == 1 && sizeof(M) == sizeof(R) && side_by_side(request, bytes)) {
      std::memcpy(warp.reg<R>(in.list[0]), request.host[0], sizeof(R) * kLanes);
      return;
    }
    for (int element = 0; element < in.count; ++element) {
      R* to = warp.reg<R>(in.list[element]);
      each_lane(request.mask, [&](int l) {
        M value;
        std::memcpy(&value, request.host[l] + element * sizeof(M), sizeof(M));
        to[l] = static_cast<R>(value);
      });
    }
  });
}

template <class M, class R>
void run_store(Warp& warp, const Instruction& in, Mask mask) {
  const int bytes = static_cast<int>(sizeof(M)) * in.count;
  with_requests(warp, in, mask, 1, bytes, [&](Request& request) {
    const AccessKind kind = in.atomic ? AccessKind::atomic_write : AccessKind::write;
    const bool overlap = observe(warp, in, request, kind);
    if (in.count == 1 && sizeof(M) == sizeof(R) && side_by_side(request, bytes)) {
      std::memcpy(request.host[0], warp.reg<R>(in.list[0]), sizeof(R) * kLanes);
      return;
    }
    for (int element = 0; element < in.count; ++element) {
      const R* from = warp.reg<R>(in.list[element]);
      each_lane(request.mask, [&](int l) {
        const auto value = static_cast<M>(from[l]);
        std::memcpy(request.host[l] + element * sizeof(M), &value, sizeof(M));
      });
    }
    if (overlap && !in.atomic) check_stored<M, R>(warp, in, request);
  });
}

// Calls f<M, R>() for a type name and a register's bits.
template <class F>
void with_memory_type(const std::string& type, int register_bits, F f) {
  const auto of = [&]<class M>() {
    if constexpr (sizeof(M) <= 2) {
      if (register_bits == 16) {
        using R = std::conditional_t<std::is_signed_v<M>, int16_t, uint16_t>;
        return f.template operator()<M, R>();
      }
    }
    if constexpr (sizeof(M) <= 4) {
      if (register_bits == 32) {
        using R = std::conditional_t<std::is_signed_v<M>, int32_t, uint32_t>;
        return f.template operator()<M, R>();
      }
    }
    if (register_bits == 64) {
      using R = std::conditional_t<std::is_signed_v<M>, int64_t, uint64_t>;
      return f.template operator()<M, R>();
    }
    throw UnknownForm();
  };
  const bool is_signed = type[0] == 's';
  if (type == "b8" || type == "u8") return of.template operator()<uint8_t>();
  if (type == "s8") return of.template operator()<int8_t>();
  if (is_signed && type == "s16") return of.template operator()<int16_t>();
  if (is_signed && type == "s32") return of.template operator()<int32_t>();
  if (type == "b16" || type == "u16" || type == "f16" || type == "bf16") {
    return of.template operator()<uint16_t>();
  }
  if (type == "b32" || type == "u32" || type == "f32") return of.template operator()<uint32_t>();
  if (type == "b64" || type == "u64" || type == "s64" || type == "f64") {
    return of.template operator()<uint64_t>();
  }
  throw UnknownForm();
}

Space space_of(const PtxInstruction& in) {
  if (in.has("global")) return Space::global;
  if (in.has("shared") || in.has("shared::cta")) return Space::shared;
  if (in.has("local")) return Space::local;
  if (in.has("param") || in.has("param::entry")) return Space::parameter;
  if (in.has("const")) return Space::constant;
  return Space::generic;
}

void build_access(const PtxInstruction& in, Instruction& out, Decoder& decoder, bool loads) {
  if (in.has("shared::cluster") || in.has("mmio") || in.has("cg2")) throw UnknownForm();
  const PtxOperand& address = in.operands.at(loads ? 1 : 0);
  const PtxOperand& value = in.operands.at(loads ? 0 : 1);
  decoder.address(address, 1, out);
  out.space = space_of(in);
  const bool is_volatile = in.has("volatile");
  out.atomic = !is_volatile && (in.has("relaxed") || in.has("acquire") || in.has("release"));
  std::vector<PtxOperand> elements = value.parts;
  const size_t named = in.has("v2") ? 2 : in.has("v4") ? 4 : in.has("v8") ? 8 : 1;
  if (value.kind != PtxOperand::Kind::vector) elements = {value};
  if (elements.size() != named) throw UnknownForm();
  int register_bits = 0;
  for (const PtxOperand& one : elements) {
    if (one.name != "_") register_bits = decoder.bits_of(one, register_bits);
  }
  if (register_bits == 0) {  // constants only: as wide as in memory
    const std::string& type = in.type();
    register_bits = std::max(16, std::stoi(type.substr(type.find_first_of("123468"))));
  }
  std::vector<int32_t> slots;
  for (const PtxOperand& one : elements) {
    slots.push_back(loads ? decoder.destination(one, register_bits)
                          : decoder.source(one, register_bits));
  }
  out.list = decoder.list(slots);
  out.count = static_cast<uint8_t>(elements.size());
  with_memory_type(in.type(), register_bits, [&]<class M, class R>() {
    out.width = sizeof(M);
    out.run = loads ? run_load<M, R> : run_store<M, R>;
  });
}

void build_load(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  build_access(in, out, decoder, true);
}
void build_store(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  build_access(in, out, decoder, false);
}

void run_nothing(Warp&, const Instruction&, Mask) {}
void build_nothing(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_nothing;
}

// A cache policy is a number that the accesses ignore.
void run_policy(Warp& warp, const Instruction& in, Mask mask) {
  each_lane(mask, [&](int l) { warp.reg<uint64_t>(in.op[0])[l] = 0; });
}
void build_policy(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  out.op[0] = decoder.destination(in.operands.at(0), 64);
  out.run = run_policy;
}

}  // namespace

std::vector<OpcodeEntry> memory_opcodes() {
  return {{"ld", build_load},           {"ldu", build_load},
          {"st", build_store},          {"prefetch", build_nothing},
          {"prefetchu", build_nothing}, {"createpolicy", build_policy},
          {"discard", build_nothing},   {"applypriority", build_nothing}};
}

}  // namespace funnel::cudacpu
