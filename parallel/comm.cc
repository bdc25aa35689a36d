// SPDX-License-Identifier: Apache-2.0
#include "parallel/comm.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/add_into.h"
#include "core/base/error.h"

namespace funnel {
namespace {

// Long messages travel in pieces, so that staging is small and a piece is added while it is in
// cache; on a device, where a piece costs a launch, they are longer.
constexpr int64_t kPieceBytes = 1 << 20;
constexpr int64_t kDevicePieceBytes = 1 << 24;

}  // namespace

// Elements [begin, end) of the tensor that is being summed.
struct Comm::Part {
  Tensor whole;
  int64_t begin = 0;
  int64_t end = 0;

  int64_t count() const { return end - begin; }
  // At most `most` elements from the place `at` on; maybe none.
  Tensor piece(int64_t at, int64_t most) const {
    const int64_t length = std::clamp<int64_t>(count() - at, 0, most);
    return whole.slice(length > 0 ? begin + at : 0, {length});
  }
};

Comm::Comm(int rank, int size) : rank_(rank), size_(size) {
  FUNNEL_CHECK(size >= 1 && rank >= 0 && rank < size, "no rank ", rank, " of ", size);
  if (size > 1) staging_ = Buffer(Device::cpu, kPieceBytes);
}

void Comm::attach(Context& context) {
  context_ = &context;
  if (context.device() == Device::cuda && size_ > 1) {
    device_staging_ = Buffer(Device::cuda, kDevicePieceBytes, "the pieces of other ranks' sums");
  }
}

Context* Comm::context_for(const char* call, const ConstTensor& tensor) const {
  FUNNEL_CHECK(tensor.bytes() == 0 || tensor.device() == Device::cpu ||
                   (context_ != nullptr && context_->device() == tensor.device()),
               call, ": found a tensor on ", name_of(tensor.device()),
               " and no attached context of it");
  return tensor.device() == Device::cpu ? nullptr : context_;
}

Context* Comm::context_for(const char* call, const ConstTensor& send,
                           const ConstTensor& receive) const {
  FUNNEL_CHECK(send.bytes() == 0 || receive.bytes() == 0 || send.device() == receive.device(), call,
               ": expected both messages on one device");
  return context_for(call, send.bytes() > 0 ? send : receive);
}

void Comm::all_reduce_sum(Tensor tensor) {
  FUNNEL_CHECK(std::has_single_bit(static_cast<unsigned>(size_)),
               "the exact sum needs a power of two of ranks, found ", size_);
  FUNNEL_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64,
               "expected f32 or f64, found ", name_of(tensor.dtype()));
  context_for("all_reduce_sum", tensor);
  if (size_ == 1) return;
  constexpr int kMaxLevels = 31;
  std::array<Part, kMaxLevels> given;  // what this rank gave away at each level
  Part mine{tensor.reshaped({tensor.elements()}), 0, tensor.elements()};
  int level = 0;
  for (int distance = 1; distance < size_; distance *= 2, ++level) {
    const int64_t middle = mine.begin + mine.count() / 2;
    const Part low{mine.whole, mine.begin, middle};
    const Part high{mine.whole, middle, mine.end};
    const bool upper = (rank_ & distance) != 0;
    mine = upper ? high : low;
    given[level] = upper ? low : high;
    exchange_pieces(rank_ ^ distance, given[level], mine, true);
  }
  for (int distance = size_ / 2; distance >= 1; distance /= 2) {
    const Part& back = given[--level];
    exchange_pieces(rank_ ^ distance, mine, back, false);
    mine.begin = std::min(mine.begin, back.begin);
    mine.end = std::max(mine.end, back.end);
  }
}

void Comm::exchange_pieces(int peer, const Part& send, const Part& receive, bool add) {
  const bool on_host = send.whole.device() == Device::cpu;
  const DType dtype = send.whole.dtype();
  const int64_t piece = (on_host ? kPieceBytes : kDevicePieceBytes) / size_of(dtype);
  Buffer& staging = on_host ? staging_ : device_staging_;
  for (int64_t at = 0; at < std::max(send.count(), receive.count()); at += piece) {
    const Tensor target = receive.piece(at, piece);
    const Tensor place = add ? staging.tensor(target.shape(), dtype) : target;
    exchange(peer, send.piece(at, piece), place);
    if (!add) continue;
    if (!on_host) {
      context_->add(place, target);
      continue;
    }
    with_float_type(dtype, [&](auto zero) {
      using T = decltype(zero);
      add_into(target.as<T>(), place.as<T>(), target.elements());
    });
  }
}

}  // namespace funnel
