// SPDX-License-Identifier: Apache-2.0
// Reference of the funnel's sequence pooling and of the decoder's upsampling, from explicit lists
// of window members (laiguokun/Funnel-Transformer, tensorflow/modeling.py).
#pragma once

#include <algorithm>

#include "tests/reference/matrix.h"

namespace funnel::ref {

// The members of every window. separate_cls: {0}, then pairs over 1..seq-1, or over 1..seq-2 when
// truncating; otherwise pairs over 0..seq-1. The last window may have one member.
inline std::vector<Integers> pool_windows(int64_t seq, bool separate_cls, bool truncate) {
  Integers members;
  for (int64_t t = 0; t < seq; ++t) members.push_back(t);
  std::vector<Integers> windows;
  if (separate_cls) {
    windows.push_back({0});
    members.erase(members.begin());
    if (truncate && !members.empty()) members.pop_back();
  }
  for (size_t i = 0; i < members.size(); i += 2) {
    windows.emplace_back(members.begin() + i, members.begin() + std::min(i + 2, members.size()));
  }
  return windows;
}

// y [batch, windows, width] from x [batch, seq, width].
inline Vector mean_pool_forward(const Vector& x, const std::vector<Integers>& windows,
                                int64_t batch, int64_t seq, int64_t width) {
  Vector y;
  for (int64_t b = 0; b < batch; ++b) {
    for (const Integers& window : windows) {
      for (int64_t c = 0; c < width; ++c) {
        double total = 0;
        for (int64_t t : window) total += x.at((b * seq + t) * width + c);
        y.push_back(total / window.size());
      }
    }
  }
  return y;
}

inline Vector mean_pool_backward(const Vector& dy, const std::vector<Integers>& windows,
                                 int64_t batch, int64_t seq, int64_t width) {
  Vector dx(batch * seq * width);
  const int64_t pooled = windows.size();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t w = 0; w < pooled; ++w) {
      for (int64_t t : windows[w]) {
        for (int64_t c = 0; c < width; ++c) {
          dx.at((b * seq + t) * width + c) +=
              dy.at((b * pooled + w) * width + c) / windows[w].size();
        }
      }
    }
  }
  return dx;
}

// The member with the largest value in column c; the first of equals.
inline int64_t largest_member(const Vector& x, const Integers& window, int64_t example, int64_t seq,
                              int64_t width, int64_t c) {
  int64_t best = window.front();
  for (int64_t t : window) {
    if (x.at((example * seq + t) * width + c) > x.at((example * seq + best) * width + c)) best = t;
  }
  return best;
}

inline Vector max_pool_forward(const Vector& x, const std::vector<Integers>& windows, int64_t batch,
                               int64_t seq, int64_t width) {
  Vector y;
  for (int64_t b = 0; b < batch; ++b) {
    for (const Integers& window : windows) {
      for (int64_t c = 0; c < width; ++c) {
        y.push_back(x.at((b * seq + largest_member(x, window, b, seq, width, c)) * width + c));
      }
    }
  }
  return y;
}

inline Vector max_pool_backward(const Vector& dy, const Vector& x,
                                const std::vector<Integers>& windows, int64_t batch, int64_t seq,
                                int64_t width) {
  Vector dx(batch * seq * width);
  size_t next = 0;
  for (int64_t b = 0; b < batch; ++b) {
    for (const Integers& window : windows) {
      for (int64_t c = 0; c < width; ++c) {
        dx.at((b * seq + largest_member(x, window, b, seq, width, c)) * width + c) += dy.at(next++);
      }
    }
  }
  return dx;
}

// A window is hidden only if all its members are: [batch, windows] from [batch, seq].
inline Integers pool_hidden(const Integers& hidden, const std::vector<Integers>& windows,
                            int64_t batch, int64_t seq) {
  Integers pooled;
  for (int64_t b = 0; b < batch; ++b) {
    for (const Integers& window : windows) {
      bool all = true;
      for (int64_t t : window) all = all && hidden.at(b * seq + t) != 0;
      pooled.push_back(all ? 1 : 0);
    }
  }
  return pooled;
}

// Segments (or anything else) of each window's first member: [batch, windows] from [batch, seq].
inline Integers pool_first(const Integers& x, const std::vector<Integers>& windows, int64_t batch,
                           int64_t seq) {
  Integers pooled;
  for (int64_t b = 0; b < batch; ++b) {
    for (const Integers& window : windows) pooled.push_back(x.at(b * seq + window.front()));
  }
  return pooled;
}

// The positions that copy each pooled vector: CLS only itself, every other vector `stride` in a
// row. Positions beyond the last copy belong to no vector.
inline std::vector<Integers> upsample_copies(int64_t seq, int64_t pooled, int64_t stride,
                                             bool separate_cls) {
  std::vector<Integers> copies(pooled);
  int64_t t = 0;
  for (int64_t p = 0; p < pooled; ++p) {
    const int64_t count = separate_cls && p == 0 ? 1 : stride;
    for (int64_t i = 0; i < count && t < seq; ++i) copies[p].push_back(t++);
  }
  return copies;
}

// y [batch, seq, width] = residual [batch, seq, width] + x [batch, pooled, width] at its copies.
inline Vector upsample_forward(const Vector& x, const Vector& residual,
                               const std::vector<Integers>& copies, int64_t batch, int64_t seq,
                               int64_t width) {
  Vector y = residual;
  const int64_t pooled = copies.size();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t p = 0; p < pooled; ++p) {
      for (int64_t t : copies[p]) {
        for (int64_t c = 0; c < width; ++c) {
          y.at((b * seq + t) * width + c) += x.at((b * pooled + p) * width + c);
        }
      }
    }
  }
  return y;
}

// The gradient of x [batch, pooled, width]; that of the residual is dy itself.
inline Vector upsample_backward(const Vector& dy, const std::vector<Integers>& copies,
                                int64_t batch, int64_t seq, int64_t width) {
  const int64_t pooled = copies.size();
  Vector dx(batch * pooled * width);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t p = 0; p < pooled; ++p) {
      for (int64_t t : copies[p]) {
        for (int64_t c = 0; c < width; ++c) {
          dx.at((b * pooled + p) * width + c) += dy.at((b * seq + t) * width + c);
        }
      }
    }
  }
  return dx;
}

}  // namespace funnel::ref
