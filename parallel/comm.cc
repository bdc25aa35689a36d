// SPDX-License-Identifier: Apache-2.0
#include "parallel/comm.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/base/error.h"
#include "parallel/add.h"

namespace funnel {
namespace {

// Long messages travel in pieces, so that staging is small, a piece is added while it is in cache,
// and no count leaves the range of int.
constexpr int64_t kPieceBytes = 1 << 20;

struct Range {
  int64_t begin;
  int64_t end;
  int64_t count() const { return end - begin; }
};

}  // namespace

Comm::Comm(int rank, int size) : rank_(rank), size_(size) {
  FUNNEL_CHECK(size >= 1 && rank >= 0 && rank < size, "no rank ", rank, " of ", size);
  if (size > 1) staging_ = Buffer(Device::cpu, kPieceBytes);
}

void Comm::all_reduce_sum(Tensor tensor) {
  FUNNEL_CHECK(std::has_single_bit(static_cast<unsigned>(size_)),
               "the exact sum needs a power of two of ranks, found ", size_);
  if (size_ == 1) return;
  with_float_type(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    all_reduce_sum_of(tensor.as<T>(), tensor.elements());
  });
}

template <class T>
void Comm::all_reduce_sum_of(T* data, int64_t count) {
  constexpr int kMaxLevels = 31;
  std::array<Range, kMaxLevels> given;  // what this rank gave away at each level
  Range mine{0, count};
  int level = 0;
  for (int distance = 1; distance < size_; distance *= 2, ++level) {
    const int64_t middle = mine.begin + mine.count() / 2;
    const Range low{mine.begin, middle};
    const Range high{middle, mine.end};
    const bool upper = (rank_ & distance) != 0;
    mine = upper ? high : low;
    given[level] = upper ? low : high;
    exchange_pieces(rank_ ^ distance, data + given[level].begin, given[level].count(),
                    data + mine.begin, mine.count(), true);
  }
  for (int distance = size_ / 2; distance >= 1; distance /= 2) {
    const Range back = given[--level];
    exchange_pieces(rank_ ^ distance, data + mine.begin, mine.count(), data + back.begin,
                    back.count(), false);
    mine = {std::min(mine.begin, back.begin), std::max(mine.end, back.end)};
  }
}

template <class T>
void Comm::exchange_pieces(int peer, const T* send, int64_t send_count, T* receive,
                           int64_t receive_count, bool add) {
  constexpr int64_t kPiece = kPieceBytes / static_cast<int64_t>(sizeof(T));
  for (int64_t at = 0; at < std::max(send_count, receive_count); at += kPiece) {
    const int64_t out = std::clamp<int64_t>(send_count - at, 0, kPiece);
    const int64_t in = std::clamp<int64_t>(receive_count - at, 0, kPiece);
    const Tensor place = add ? staging_.tensor({in}, dtype_of<T>())
                             : Tensor(receive + std::min(at, receive_count), {in}, dtype_of<T>());
    exchange(peer, ConstTensor(send + std::min(at, send_count), {out}, dtype_of<T>()), place);
    if (add) add_into(receive + at, place.as<T>(), in);
  }
}

}  // namespace funnel
