// SPDX-License-Identifier: Apache-2.0
// The CPU path: blocked over query rows, so that a block's scores stay in cache. Each block is a
// few matrix products around one pass over its rows.
#include <algorithm>

#include "core/backend/matmul.h"
#include "core/ops/attention_paths.h"
#include "core/ops/attention_rows.h"

namespace funnel {
namespace {

// 64 rows of 512 keys are 128 KiB of scores and as much again of position scores.
constexpr int64_t kQueryBlock = 64;

// Works through all (example, head, block of query rows).
template <class T>
class BlockedAttention {
 public:
  BlockedAttention(Context& context, const AttentionInputs& in, const AttentionExtents& e)
      : context_(context),
        in_(in),
        e_(e),
        scratch_(context.scratch()),
        rows_(in, e.k_len, scratch_) {
    const int64_t rows = std::min(kQueryBlock, e_.q_len);
    const int64_t columns = in_.shift * (rows - 1) + e_.k_len;
    content_query_ = buffer(rows * e_.head_width);
    position_query_ = buffer(rows * e_.head_width);
    segment_query_ = buffer(rows * e_.head_width);
    scores_ = buffer(rows * e_.k_len);
    position_scores_ = buffer(rows * columns);
    dropped_ = buffer(rows * e_.k_len);
  }

  void forward(const RelativeAttentionForward& args) {
    T* context = args.context.as<T>();
    T* normaliser = args.log_normaliser.as<T>();
    for_each_block([&](const Block& b) {
      compute_scores(b);
      for (int64_t i = 0; i < b.rows; ++i) {
        T* p = scores_ + i * e_.k_len;
        normaliser[b.row(e_, i)] = rows_.softmax(p);
        rows_.drop(in_.dropout, b.row(e_, i) * e_.k_len, p, p);
      }
      multiply({.m = b.rows,
                .n = e_.head_width,
                .k = e_.k_len,
                .a = scores_,
                .lda = e_.k_len,
                .b = in_.v.as<T>() + b.key(e_),
                .ldb = e_.width(),
                .c = context + b.query(e_),
                .ldc = e_.width()});
    });
  }

  void backward(const RelativeAttentionBackward& args) {
    dcontent_query_ = buffer(kQueryBlock * e_.head_width);
    dposition_query_ = buffer(kQueryBlock * e_.head_width);
    dscores_ = buffer(kQueryBlock * e_.k_len);
    context_.fill_zero(args.dr);
    for_each_block([&](const Block& b) {
      compute_scores(b);
      backward_probabilities(args, b);
      backward_keys(args, b);
      backward_positions(args, b);
      backward_query_rows(args, b);
    });
  }

 private:
  struct Block {
    int64_t example, head, first, rows;
    // Offsets of the block's first query, of its head's first key and value, and of a row's
    // statistics.
    int64_t query(const AttentionExtents& e) const {
      return (example * e.q_len + first) * e.width() + head * e.head_width;
    }
    int64_t key(const AttentionExtents& e) const {
      return example * e.k_len * e.width() + head * e.head_width;
    }
    int64_t row(const AttentionExtents& e, int64_t i) const {
      return (example * e.heads + head) * e.q_len + first + i;
    }
    // The first position row that the block reads, and how many: its last query reads the lowest.
    int64_t first_position(const AttentionExtents& e, int64_t shift) const {
      return shift * (e.q_len - first - rows + 1);
    }
    int64_t positions(const AttentionExtents& e, int64_t shift) const {
      return shift * (rows - 1) + e.k_len;
    }
  };

  template <class F>
  void for_each_block(const F& f) {
    for (int64_t example = 0; example < e_.batch; ++example) {
      rows_.start_example(example);
      for (int64_t head = 0; head < e_.heads; ++head) {
        for (int64_t first = 0; first < e_.q_len; first += kQueryBlock) {
          f(Block{example, head, first, std::min(kQueryBlock, e_.q_len - first)});
        }
      }
    }
  }

  T* buffer(int64_t elements) {
    return scratch_.tensor({elements}, dtype_of<T>()).template as<T>();
  }

  void multiply(Matmul args) {
    args.dtype = dtype_of<T>();
    args.c_dtype = dtype_of<T>();
    matmul(context_, args);
  }

  const T* head_of(const ConstTensor& tensor, int64_t head) const {
    return tensor.as<T>() + head * e_.head_width;
  }

  // scores_ = the final scores of the block, before softmax.
  void compute_scores(const Block& b) {
    const T scale = T(1) / math::sqrt(T(e_.head_width));
    shifted_queries(b, scale);
    multiply({.m = b.rows,
              .n = e_.k_len,
              .k = e_.head_width,
              .a = content_query_,
              .lda = e_.head_width,
              .b = in_.k.as<T>() + b.key(e_),
              .ldb = e_.width(),
              .transpose_b = true,
              .c = scores_,
              .ldc = e_.k_len});
    const int64_t columns = b.positions(e_, in_.shift);
    multiply({.m = b.rows,
              .n = columns,
              .k = e_.head_width,
              .a = position_query_,
              .lda = e_.head_width,
              .b = position_rows(b),
              .ldb = e_.width(),
              .transpose_b = true,
              .c = position_scores_,
              .ldc = columns});
    for (int64_t i = 0; i < b.rows; ++i) {
      rows_.start_row(b.first + i, segment_dots(b, i));
      rows_.add_relative(position_scores_ + i * columns + in_.shift * (b.rows - 1 - i),
                         scores_ + i * e_.k_len);
    }
  }

  // The three queries of each row: s (q + bias) for content, position and segment.
  void shifted_queries(const Block& b, T scale) {
    const T* r_w = head_of(in_.content_bias, b.head);
    const T* r_r = head_of(in_.position_bias, b.head);
    const T* r_s = head_of(in_.segment_bias, b.head);
    for (int64_t i = 0; i < b.rows; ++i) {
      const T* q = in_.q.as<T>() + b.query(e_) + i * e_.width();
      for (int64_t c = 0; c < e_.head_width; ++c) {
        const int64_t at = i * e_.head_width + c;
        content_query_[at] = scale * (q[c] + r_w[c]);
        position_query_[at] = scale * (q[c] + r_r[c]);
        segment_query_[at] = scale * (q[c] + r_s[c]);
      }
    }
  }

  const T* position_rows(const Block& b) const {
    return head_of(in_.r, b.head) + b.first_position(e_, in_.shift) * e_.width();
  }

  SegmentDots<T> segment_dots(const Block& b, int64_t i) const {
    if (!in_.q_segments) return {};
    const T* different = head_of(in_.segment_embedding, b.head);
    const T* same = different + e_.width();
    const T* query = segment_query_ + i * e_.head_width;
    SegmentDots<T> dots;
    for (int64_t c = 0; c < e_.head_width; ++c) {
      dots.different += query[c] * different[c];
      dots.same += query[c] * same[c];
    }
    return dots;
  }

  // From scores: dropped_ = dropout(P), dscores_ = P (dropout(dP) - sum_j dropout(dP) P).
  void backward_probabilities(const RelativeAttentionBackward& args, const Block& b) {
    const T* dcontext = args.dcontext.as<T>() + b.query(e_);
    const T* context = args.context.as<T>() + b.query(e_);
    const T* normaliser = args.log_normaliser.as<T>();
    multiply({.m = b.rows,
              .n = e_.k_len,
              .k = e_.head_width,
              .a = dcontext,
              .lda = e_.width(),
              .b = in_.v.as<T>() + b.key(e_),
              .ldb = e_.width(),
              .transpose_b = true,
              .c = dscores_,
              .ldc = e_.k_len});
    for (int64_t i = 0; i < b.rows; ++i) {
      T delta = 0;  // sum_j dP P = dcontext . context, dropout included
      for (int64_t c = 0; c < e_.head_width; ++c) {
        delta += dcontext[i * e_.width() + c] * context[i * e_.width() + c];
      }
      T* p = scores_ + i * e_.k_len;
      T* dscore = dscores_ + i * e_.k_len;
      const int64_t element = b.row(e_, i) * e_.k_len;
      rows_.probabilities(normaliser[b.row(e_, i)], p);
      rows_.drop(in_.dropout, element, p, dropped_ + i * e_.k_len);
      rows_.drop(in_.dropout, element, dscore, dscore);
      for (int64_t j = 0; j < e_.k_len; ++j) dscore[j] = p[j] * (dscore[j] - delta);
    }
  }

  void backward_keys(const RelativeAttentionBackward& args, const Block& b) {
    const bool later = b.first > 0;  // the first block of a head overwrites
    multiply({.m = e_.k_len,
              .n = e_.head_width,
              .k = b.rows,
              .a = dropped_,
              .lda = e_.k_len,
              .transpose_a = true,
              .b = args.dcontext.as<T>() + b.query(e_),
              .ldb = e_.width(),
              .c = args.dv.as<T>() + b.key(e_),
              .ldc = e_.width(),
              .accumulate = later});
    multiply({.m = e_.k_len,
              .n = e_.head_width,
              .k = b.rows,
              .a = dscores_,
              .lda = e_.k_len,
              .transpose_a = true,
              .b = content_query_,
              .ldb = e_.head_width,
              .c = args.dk.as<T>() + b.key(e_),
              .ldc = e_.width(),
              .accumulate = later});
    multiply({.m = b.rows,
              .n = e_.head_width,
              .k = e_.k_len,
              .a = dscores_,
              .lda = e_.k_len,
              .b = in_.k.as<T>() + b.key(e_),
              .ldb = e_.width(),
              .c = dcontent_query_,
              .ldc = e_.head_width});
  }

  // Scatters the score gradients back along their diagonals, then two products.
  void backward_positions(const RelativeAttentionBackward& args, const Block& b) {
    const int64_t columns = b.positions(e_, in_.shift);
    std::fill_n(position_scores_, b.rows * columns, T(0));
    for (int64_t i = 0; i < b.rows; ++i) {
      rows_.start_row(b.first + i, {});
      rows_.mask_relative(dscores_ + i * e_.k_len,
                          position_scores_ + i * columns + in_.shift * (b.rows - 1 - i));
    }
    multiply({.m = b.rows,
              .n = e_.head_width,
              .k = columns,
              .a = position_scores_,
              .lda = columns,
              .b = position_rows(b),
              .ldb = e_.width(),
              .c = dposition_query_,
              .ldc = e_.head_width});
    multiply({.m = columns,
              .n = e_.head_width,
              .k = b.rows,
              .a = position_scores_,
              .lda = columns,
              .transpose_a = true,
              .b = position_query_,
              .ldb = e_.head_width,
              .c = args.dr.as<T>() + b.head * e_.head_width +
                   b.first_position(e_, in_.shift) * e_.width(),
              .ldc = e_.width(),
              .accumulate = true});
  }

  // dq, and the gradients of the biases and the segment embedding.
  void backward_query_rows(const RelativeAttentionBackward& args, const Block& b) {
    const T scale = T(1) / math::sqrt(T(e_.head_width));
    const int64_t columns = b.positions(e_, in_.shift);
    const int64_t head = b.head * e_.head_width;
    T* dq = args.dq.as<T>() + b.query(e_);
    T* dr_w = args.dcontent_bias.as<T>() + head;
    T* dr_r = args.dposition_bias.as<T>() + head;
    for (int64_t i = 0; i < b.rows; ++i) {
      const T* dcontent = dcontent_query_ + i * e_.head_width;
      const T* dposition = dposition_query_ + i * e_.head_width;
      T* out = dq + i * e_.width();
      for (int64_t c = 0; c < e_.head_width; ++c) {
        dr_w[c] += scale * dcontent[c];
        dr_r[c] += scale * dposition[c];
        out[c] = scale * (dcontent[c] + dposition[c]);
      }
      if (!in_.q_segments) continue;
      rows_.start_row(b.first + i, {});
      const SegmentDots<T> d =
          rows_.segment_gradient(position_scores_ + i * columns + in_.shift * (b.rows - 1 - i));
      backward_segment_row(args, b, i, d, scale, out);
    }
  }

  void backward_segment_row(const RelativeAttentionBackward& args, const Block& b, int64_t i,
                            const SegmentDots<T>& d, T scale, T* dq) {
    const int64_t head = b.head * e_.head_width;
    const T* different = head_of(in_.segment_embedding, b.head);
    const T* same = different + e_.width();
    const T* query = segment_query_ + i * e_.head_width;
    T* dr_s = args.dsegment_bias.as<T>() + head;
    T* ddifferent = args.dsegment_embedding.as<T>() + head;
    T* dsame = ddifferent + e_.width();
    for (int64_t c = 0; c < e_.head_width; ++c) {
      const T dquery = scale * (d.different * different[c] + d.same * same[c]);
      dr_s[c] += dquery;
      dq[c] += dquery;
      ddifferent[c] += d.different * query[c];
      dsame[c] += d.same * query[c];
    }
  }

  Context& context_;
  const AttentionInputs& in_;
  const AttentionExtents e_;
  Scratch scratch_;
  AttentionRows<T> rows_;
  T *content_query_, *position_query_, *segment_query_;  // [rows, head_width]
  T *scores_, *dropped_;                                 // [rows, k_len]
  T* position_scores_;                                   // [rows, positions of the block]
  T *dcontent_query_ = nullptr, *dposition_query_ = nullptr, *dscores_ = nullptr;
};

}  // namespace

void attention_forward_blocked(Context& context, const RelativeAttentionForward& args,
                               const AttentionExtents& extents) {
  with_float_type(args.in.q.dtype(), [&](auto zero) {
    BlockedAttention<decltype(zero)>(context, args.in, extents).forward(args);
  });
}

void attention_backward_blocked(Context& context, const RelativeAttentionBackward& args,
                                const AttentionExtents& extents) {
  with_float_type(args.in.q.dtype(), [&](auto zero) {
    BlockedAttention<decltype(zero)>(context, args.in, extents).backward(args);
  });
}

}  // namespace funnel
