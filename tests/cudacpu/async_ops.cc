// SPDX-License-Identifier: Apache-2.0
// cp.async and its groups. The bytes move when they are waited for, as late as a device may move
// them; the checkers see a write both then and at the issue.
#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/memory_access.h"

namespace funnel::cudacpu {
namespace {

AsyncQueue& queue_of(Warp& warp, int lane) {
  if (warp.copies.empty()) warp.copies.resize(kLanes);
  return warp.copies[lane];
}

// op: -, shared address, global address, source bytes (or -1), ignored if true (or -1).
// The two addresses have their own offsets and widths.
Request resolve_side(Warp& warp, const Instruction& in, Mask mask, bool target, int bytes) {
  Instruction side = in;
  side.space = target ? Space::shared : Space::global;
  side.offset = target ? in.offset : in.list[0];
  side.detail = target ? in.detail : 0;
  Request request;
  request.bytes = bytes;
  request.mask = mask;
  request.space = side.space;
  read_addresses(warp, side, mask, target ? 1 : 2, request);
  resolve(warp, side, request);
  return request;
}

void run_copy(Warp& warp, const Instruction& in, Mask mask) {
  const Request target = resolve_side(warp, in, mask, true, in.width);
  observe(warp, in, target, AccessKind::async_issue);
  std::array<uint8_t, kLanes> source_bytes;
  source_bytes.fill(in.width);
  if (in.op[3] >= 0) {
    const uint32_t* given = warp.reg<uint32_t>(in.op[3]);
    each_lane(mask, [&](int l) {
      if (given[l] > in.width) {
        fail(warp, in, l, FaultKind::out_of_bounds, "the source has more bytes than the copy");
      }
      source_bytes[l] = static_cast<uint8_t>(given[l]);
    });
  }
  Mask reading = 0;
  each_lane(mask, [&](int l) {
    if (source_bytes[l] != 0) reading |= kLaneBits[l];
  });
  // Lanes with part of a source are rare: they are resolved one size at a time.
  const uint64_t* addresses = warp.reg<uint64_t>(in.op[2]);
  for (Mask left = reading; left != 0;) {
    const uint8_t size = source_bytes[lowest_lane(left)];
    Mask same = 0;
    each_lane(left, [&](int l) {
      if (source_bytes[l] == size) same |= kLaneBits[l];
    });
    left &= ~same;
    each_lane(same, [&](int l) {
      if ((addresses[l] + static_cast<uint64_t>(in.list[0])) % in.width != 0) {
        fail(warp, in, l, FaultKind::misaligned,
             "the source is no multiple of " + std::to_string(in.width));
      }
    });
    if ((size & (size - 1)) != 0) {
      fail(warp, in, lowest_lane(same), FaultKind::unsupported,
           "a source of " + std::to_string(size) + " bytes");
    }
    observe(warp, in, resolve_side(warp, in, same, false, size), AccessKind::read);
  }
  each_lane(mask, [&](int l) {
    queue_of(warp, l).groups.back().push_back({addresses[l] + static_cast<uint64_t>(in.list[0]),
                                               static_cast<uint32_t>(target.address[l]), in.width,
                                               source_bytes[l], in.index});
  });
}

void build_copy(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!in.has("global") || (!in.has("shared") && !in.has("shared::cta"))) throw UnknownForm();
  decoder.address(in.operands.at(1), 2, out);
  if (out.detail != 0) throw UnknownForm();  // global addresses have 64 bits
  const auto source_offset = static_cast<int32_t>(out.offset);
  decoder.address(in.operands.at(0), 1, out);
  out.list = decoder.list({source_offset});
  out.space = Space::shared;
  const PtxOperand& size = in.operands.at(2);
  if (size.kind != PtxOperand::Kind::immediate) throw UnknownForm();
  out.width = static_cast<uint8_t>(size.bits);
  if (out.width != 4 && out.width != 8 && out.width != 16) throw UnknownForm();
  const size_t most = in.has("L2::cache_hint") ? 5 : 4;
  if (in.operands.size() > most) throw UnknownForm();
  if (in.operands.size() == most || (most == 4 && in.operands.size() == 4)) {
    out.op[3] = decoder.source(in.operands[3], 32);
  }
  out.run = run_copy;
}

// Moves the bytes of one lane's group. An Instruction and a Request of one lane report it; what the
// copy costs was counted when it was issued.
void complete(Warp& warp, int lane, const std::vector<AsyncCopy>& copies) {
  for (const AsyncCopy& one : copies) {
    const Instruction& issued = warp.program->code[one.instruction];
    Request request;
    request.mask = kLaneBits[lane];
    request.space = Space::shared;
    request.bytes = one.bytes;
    request.address[lane] = one.target;
    resolve(warp, issued, request);
    check(warp, issued, request, AccessKind::async_complete);
    char* target = request.host[lane];
    std::memset(target, 0, one.bytes);
    if (one.source_bytes == 0) continue;
    request.space = Space::global;
    request.bytes = one.source_bytes;
    request.address[lane] = one.source;
    resolve(warp, issued, request);
    check(warp, issued, request, AccessKind::read);
    std::memcpy(target, request.host[lane], one.source_bytes);
  }
}

void run_commit(Warp& warp, const Instruction&, Mask mask) {
  each_lane(mask, [&](int l) { queue_of(warp, l).groups.emplace_back(); });
}
void build_commit(Instruction& out) {
  out.run = run_commit;
}

// All but the `detail` newest committed groups; detail bit 31: also what is not committed.
void run_wait(Warp& warp, const Instruction& in, Mask mask) {
  const bool all = (in.detail >> 31) != 0;
  const size_t left = all ? 0 : in.detail + 1;  // the open group counts as one
  each_lane(mask, [&](int l) {
    auto& groups = queue_of(warp, l).groups;
    while (groups.size() > left) {
      complete(warp, l, groups.front());
      groups.erase(groups.begin());
    }
    if (groups.empty()) groups.emplace_back();
  });
}

void build_async(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!in.has("async") || in.has("bulk") || in.has("mbarrier")) throw UnknownForm();
  if (in.has("commit_group")) return build_commit(out);
  if (in.has("wait_group")) {
    if (in.operands.at(0).kind != PtxOperand::Kind::immediate) throw UnknownForm();
    out.detail = static_cast<uint32_t>(in.operands[0].bits);
    out.run = run_wait;
  } else if (in.has("wait_all")) {
    out.detail = 0x80000000u;
    out.run = run_wait;
  } else {
    build_copy(in, out, decoder);
  }
}

}  // namespace

std::vector<OpcodeEntry> async_opcodes() {
  return {{"cp", build_async}};
}

}  // namespace funnel::cudacpu
