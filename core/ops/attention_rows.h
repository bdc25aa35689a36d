// SPDX-License-Identifier: Apache-2.0
// One row of scores at a time: what relative attention does between its matrix products on the
// CPU. Private to core/ops/attention_blocked.cc.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/backend/arena.h"
#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/dropout.h"
#include "core/ops/relative_attention.h"

namespace funnel {

// A row's products with the two segment embeddings, or the gradients of those products.
template <class T>
struct SegmentDots {
  T different = 0;
  T same = 0;
};

template <class T>
class AttentionRows {
 public:
  AttentionRows(const AttentionInputs& in, int64_t k_len, Scratch& scratch)
      : in_(in), k_len_(k_len) {
    const auto row = [&] { return scratch.tensor({k_len}, dtype_of<T>()).template as<T>(); };
    penalty_ = row();
    for (T*& same : same_) same = row();
    factors_ = scratch.tensor({k_len}, DType::f32).as<float>();
  }

  // Prepares the masks of one example: the penalty of hidden keys, and for each segment that a
  // query can have, 1 where a key counts as the same segment.
  void start_example(int64_t example) {
    bool any_seen = false;
    for (int64_t j = 0; j < k_len_; ++j) {
      const bool hidden = in_.hidden && in_.hidden.as<uint8_t>()[example * k_len_ + j] != 0;
      penalty_[j] = hidden ? T(-1e6) : T(0);
      any_seen |= !hidden;
    }
    // The same penalty on every key would only cost the scores their digits.
    if (!any_seen) std::fill_n(penalty_, k_len_, T(0));
    if (!in_.q_segments) return;
    const uint8_t* keys = in_.k_segments.as<uint8_t>() + example * k_len_;
    queries_ = in_.q_segments.as<uint8_t>() + example * in_.q_segments.shape()[1];
    for (uint8_t segment = 0; segment <= kClsSegment; ++segment) {
      for (int64_t j = 0; j < k_len_; ++j) {
        const bool same = keys[j] == segment || keys[j] == kClsSegment || segment == kClsSegment;
        same_[segment][j] = same ? T(1) : T(0);
      }
    }
  }

  void start_row(int64_t query, SegmentDots<T> dots) {
    dots_ = dots;
    relative_ = !(in_.cls_mask && query == 0);
    same_row_ = in_.q_segments ? same_[std::min(queries_[query], kClsSegment)] : nullptr;
  }

  // score += F (position + segment) - 1e6 hidden
  void add_relative(const T* position, T* score) const {
    if (!relative_) {
      team_.each(k_len_, [&](int64_t j) { score[j] += penalty_[j]; });
      return;
    }
    const T cls = score[0];
    if (same_row_ == nullptr) {
      team_.each(k_len_, [&](int64_t j) { score[j] += position[j] + penalty_[j]; });
    } else {
      const T base = dots_.different, gain = dots_.same - dots_.different;
      team_.each(k_len_, [&](int64_t j) {
        score[j] += position[j] + (base + gain * same_row_[j]) + penalty_[j];
      });
    }
    if (in_.cls_mask) score[0] = cls + penalty_[0];
  }

  // Turns scores into probabilities; returns log sum exp.
  T softmax(T* p) const {
    const T top = team_.max(k_len_, [&](int64_t j) { return p[j]; });
    team_.each(k_len_, [&](int64_t j) { p[j] = math::exp(p[j] - top); });
    const T sum = team_.sum(k_len_, [&](int64_t j) { return p[j]; });
    const T inverse = T(1) / sum;
    team_.each(k_len_, [&](int64_t j) { p[j] *= inverse; });
    return top + math::log(sum);
  }

  // The same probabilities again, from scores and the saved normaliser.
  void probabilities(T log_normaliser, T* p) const {
    team_.each(k_len_, [&](int64_t j) { p[j] = math::exp(p[j] - log_normaliser); });
  }

  // out = in * dropout factors of elements [first, first + k_len); out may be in.
  void drop(const Dropout& dropout, int64_t first, const T* in, T* out) const {
    if (!dropout.active()) {
      if (out != in) std::copy_n(in, k_len_, out);
      return;
    }
    fill_dropout_factors(dropout, first, k_len_, factors_);
    team_.each(k_len_, [&](int64_t j) { out[j] = in[j] * T(factors_[j]); });
  }

  // out = F dscore, on the row's diagonal of the position scores.
  void mask_relative(const T* dscore, T* out) const {
    if (!relative_) return;
    std::copy_n(dscore, k_len_, out);
    if (in_.cls_mask) out[0] = 0;
  }

  // The gradients of the row's segment products, from its masked score gradients.
  SegmentDots<T> segment_gradient(const T* dmasked) const {
    const T all = team_.sum(k_len_, [&](int64_t j) { return dmasked[j]; });
    const T same = team_.sum(k_len_, [&](int64_t j) { return dmasked[j] * same_row_[j]; });
    return {all - same, same};
  }

 private:
  const AttentionInputs& in_;
  int64_t k_len_;
  SerialTeam team_;
  T* penalty_;              // [k_len]
  std::array<T*, 3> same_;  // [k_len] for query segments A, B and CLS
  float* factors_;          // [k_len]
  const uint8_t* queries_ = nullptr;
  const T* same_row_ = nullptr;
  SegmentDots<T> dots_;
  bool relative_ = true;
};

}  // namespace funnel
