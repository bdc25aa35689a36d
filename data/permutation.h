// SPDX-License-Identifier: Apache-2.0
// A random permutation of 0 .. n-1 as a pure function: any element in constant time, either way,
// without memory. A Feistel network over a grid of at least n cells (Black and Rogaway, "Ciphers
// with Arbitrary Finite Domains", 2002): rounds shift rows and columns in turn, each by a draw that
// depends on the other coordinate; a cell beyond n goes through again.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/base/error.h"
#include "core/base/random.h"

namespace funnel {

class Permutation {
 public:
  // 1 <= n <= 2^40.
  Permutation(const RandomStream& stream, int64_t n) : stream_(stream), n_(n) {
    FUNNEL_CHECK(n >= 1 && n <= int64_t{1} << 40, "permutation: no permutation of ", n);
    rows_ = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
    columns_ = (n + rows_ - 1) / rows_;
    // A small grid mixes slowly.
    rounds_ = n < 128 ? kMostRounds : 8;
  }

  int64_t size() const { return n_; }

  // Where i in [0, n) goes.
  int64_t operator()(int64_t i) const {
    do {
      Cell cell{i / columns_, i % columns_};
      for (int round = 0; round < rounds_; ++round) shift(cell, round, 1);
      i = cell.row * columns_ + cell.column;
    } while (i >= n_);
    return i;
  }

  // What goes to i in [0, n).
  int64_t inverse(int64_t i) const {
    do {
      Cell cell{i / columns_, i % columns_};
      for (int round = rounds_; round-- > 0;) shift(cell, round, -1);
      i = cell.row * columns_ + cell.column;
    } while (i >= n_);
    return i;
  }

 private:
  struct Cell {
    int64_t row, column;
  };
  static constexpr int kMostRounds = 32;

  void shift(Cell& cell, int round, int sign) const {
    if (round % 2 == 0) {
      cell.row = moved(cell.row, sign * draw(round, cell.column, rows_), rows_);
    } else {
      cell.column = moved(cell.column, sign * draw(round, cell.row, columns_), columns_);
    }
  }
  static int64_t moved(int64_t from, int64_t by, int64_t size) {
    const int64_t to = from + by;
    return to < 0 ? to + size : to >= size ? to - size : to;
  }
  // Uniform in [0, size), with size below 2^21.
  int64_t draw(int round, int64_t at, int64_t size) const {
    const RandomBits bits = stream_.bits(static_cast<uint64_t>(at * kMostRounds + round));
    return static_cast<int64_t>(uint64_t{bits.word[0]} * static_cast<uint64_t>(size) >> 32);
  }

  RandomStream stream_;
  int64_t n_, rows_, columns_;
  int rounds_;
};

}  // namespace funnel
