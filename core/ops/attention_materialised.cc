// SPDX-License-Identifier: Apache-2.0
// Every score of a group of examples lies in memory at once. A group is as many examples as fit
// into a budget of scratch memory. Where tensors are bf16, scores and all sums are f32; what the
// next product is made of is rounded beside them.
#include <algorithm>

#include "core/backend/matmul.h"
#include "core/ops/attention_paths.h"
#include "core/ops/attention_score_rows.h"

namespace funnel {
namespace {

// Position scores of a group at most: 1 GiB as f32.
constexpr int64_t kGroupScores = int64_t{1} << 28;

int64_t examples_of_group(const AttentionExtents& e) {
  const int64_t group = e.group > 0 ? e.group : kGroupScores / (e.heads * e.q_len * e.positions);
  return std::clamp<int64_t>(group, 1, e.batch);
}

// Equally shaped matrices: rows `ld` apart, one matrix `stride` after the other.
template <class T>
struct Matrices {
  T* data;
  int64_t ld, stride;
};

template <class T>
class MaterialisedAttention {
  using C = Compute<T>;

 public:
  MaterialisedAttention(Context& context, const AttentionInputs& in, const AttentionExtents& e)
      : context_(context),
        in_(in),
        e_(e),
        group_(examples_of_group(e)),
        scratch_(context.scratch()) {
    const int64_t rows = e.heads * group_ * e.q_len;
    content_query_ = buffer<T>(rows * e.head_width);
    position_query_ = buffer<T>(rows * e.head_width);
    dots_ = buffer<C>(rows * 2);
    scores_ = buffer<C>(rows * e.k_len);
    probabilities_ = beside(scores_, rows * e.k_len);
    position_ = buffer<C>(rows * e.positions);
    if (!in.hidden) return;
    penalty_ = buffer<C>(e.batch * e.k_len);
    for_each_row(context, e.batch, PenaltyRow<C>{in.hidden.as<uint8_t>(), e.k_len, penalty_},
                 e.k_len);
  }

  void forward(const RelativeAttentionForward& args) {
    for_each_group([&] {
      multiply_scores();
      for_each_row(context_, grid_.rows(),
                   ProbabilityRow<T>{terms(), in_.dropout, scores_, probabilities_,
                                     args.log_normaliser.as<C>()},
                   e_.k_len);
      for (int64_t h = 0; h < e_.heads; ++h) {
        multiply({.m = e_.q_len, .n = e_.head_width, .k = e_.k_len, .batch = grid_.examples},
                 of_head(probabilities_, h), key_vectors(in_.v.as<T>(), h),
                 query_vectors(args.context.as<T>(), h));
      }
    });
  }

  void backward(const RelativeAttentionBackward& args) {
    const int64_t rows = e_.heads * group_ * e_.q_len;
    dprobabilities_ = buffer<C>(rows * e_.k_len);
    dscores_ = beside(dprobabilities_, rows * e_.k_len);
    dposition_ = beside(position_, rows * e_.positions);
    dcontent_query_ = buffer<C>(rows * e_.head_width);
    dposition_query_ = buffer<C>(rows * e_.head_width);
    ddots_ = buffer<C>(rows * 2);
    parts_ = buffer<C>(kQueryParts * rows * e_.head_width);
    for_each_group([&] {
      multiply_scores();
      backward_scores(args);
      backward_keys(args);
      backward_positions(args);
      backward_queries(args);
    });
  }

 private:
  template <class U>
  U* buffer(int64_t elements) {
    return scratch_.tensor({elements}, dtype_of<U>()).template as<U>();
  }
  // Room for what is made of products, as operands of others: the products' own where it fits.
  T* beside(C* products, int64_t elements) {
    if constexpr (std::is_same_v<T, C>) return products;
    return buffer<T>(elements);
  }

  template <class F>
  void for_each_group(const F& f) {
    for (int64_t first = 0; first < e_.batch; first += group_) {
      grid_ = {.first_example = first,
               .examples = std::min(group_, e_.batch - first),
               .heads = e_.heads,
               .q_len = e_.q_len,
               .k_len = e_.k_len,
               .head_width = e_.head_width,
               .positions = e_.positions,
               .shift = in_.shift,
               .cls_mask = in_.cls_mask};
      f();
    }
  }

  template <class A, class B, class Out>
  void multiply(Matmul args, Matrices<A> a, Matrices<B> b, Matrices<Out> c) {
    args.dtype = dtype_of<T>();
    args.c_dtype = dtype_of<Out>();
    args.a = a.data;
    args.lda = a.ld;
    args.stride_a = a.stride;
    args.b = b.data;
    args.ldb = b.ld;
    args.stride_b = b.stride;
    args.c = c.data;
    args.ldc = c.ld;
    args.stride_c = c.stride;
    matmul(context_, args);
  }

  // A head's part of [heads, examples, q_len, k_len], by example.
  template <class U>
  Matrices<U> of_head(U* scores, int64_t head) const {
    return {scores + head * grid_.tokens() * e_.k_len, e_.k_len, e_.q_len * e_.k_len};
  }
  // A head's part of [heads, examples, q_len, head_width], by example.
  template <class U>
  Matrices<U> queries_of_head(U* queries, int64_t head) const {
    return {queries + head * grid_.tokens() * e_.head_width, e_.head_width,
            e_.q_len * e_.head_width};
  }
  // The group's part of [batch, q_len or k_len, heads, head_width], one head, by example.
  template <class U>
  Matrices<U> query_vectors(U* vectors, int64_t head) const {
    return vectors_of(vectors, e_.q_len, head);
  }
  template <class U>
  Matrices<U> key_vectors(U* vectors, int64_t head) const {
    return vectors_of(vectors, e_.k_len, head);
  }
  template <class U>
  Matrices<U> vectors_of(U* vectors, int64_t len, int64_t head) const {
    const int64_t first = grid_.first_example * len * e_.width() + head * e_.head_width;
    return {vectors + first, e_.width(), len * e_.width()};
  }
  // [heads, tokens, cols], by head; [positions, heads, head_width], by head.
  template <class U>
  Matrices<U> by_head(U* data, int64_t cols) const {
    return {data, cols, grid_.tokens() * cols};
  }
  template <class U>
  Matrices<U> position_vectors(U* vectors) const {
    return {vectors, e_.width(), e_.head_width};
  }

  C scale() const { return C(1) / math::sqrt(C(e_.head_width)); }
  const T* embedding() const { return in_.q_segments ? in_.segment_embedding.as<T>() : nullptr; }

  ScoreTerms<C> terms() const {
    return {grid_,
            penalty_,
            position_,
            dots_,
            in_.q_segments.as<uint8_t>(),
            in_.q_segments ? in_.k_segments.as<uint8_t>() : nullptr};
  }

  // scores_ = content queries x keys, position_ = position queries x all rows of the table.
  void multiply_scores() {
    for_each_row(context_, grid_.rows(),
                 QueryRow<T>{grid_, scale(), in_.q.as<T>(), in_.content_bias.as<T>(),
                             in_.position_bias.as<T>(), in_.segment_bias.as<T>(), embedding(),
                             content_query_, position_query_, dots_});
    for (int64_t h = 0; h < e_.heads; ++h) {
      multiply({.m = e_.q_len,
                .n = e_.k_len,
                .k = e_.head_width,
                .transpose_b = true,
                .batch = grid_.examples},
               queries_of_head(content_query_, h), key_vectors(in_.k.as<T>(), h),
               of_head(scores_, h));
    }
    multiply({.m = grid_.tokens(),
              .n = e_.positions,
              .k = e_.head_width,
              .transpose_b = true,
              .batch = e_.heads},
             by_head(position_query_, e_.head_width), position_vectors(in_.r.as<T>()),
             by_head(position_, e_.positions));
  }

  void backward_scores(const RelativeAttentionBackward& args) {
    for (int64_t h = 0; h < e_.heads; ++h) {
      multiply({.m = e_.q_len,
                .n = e_.k_len,
                .k = e_.head_width,
                .transpose_b = true,
                .batch = grid_.examples},
               query_vectors(args.dcontext.as<T>(), h), key_vectors(in_.v.as<T>(), h),
               of_head(dprobabilities_, h));
    }
    for_each_row(context_, grid_.rows(),
                 ScoreGradientRow<T>{terms(), in_.dropout, args.log_normaliser.as<C>(),
                                     args.context.as<T>(), args.dcontext.as<T>(), scores_,
                                     probabilities_, dprobabilities_, dscores_, dposition_, ddots_},
                 e_.positions);
  }

  void backward_keys(const RelativeAttentionBackward& args) {
    const Matmul to_keys{.m = e_.k_len,
                         .n = e_.head_width,
                         .k = e_.q_len,
                         .transpose_a = true,
                         .batch = grid_.examples};
    for (int64_t h = 0; h < e_.heads; ++h) {
      multiply(to_keys, of_head(probabilities_, h), query_vectors(args.dcontext.as<T>(), h),
               key_vectors(args.dv.as<T>(), h));
      multiply(to_keys, of_head(dscores_, h), queries_of_head(content_query_, h),
               key_vectors(args.dk.as<T>(), h));
      multiply({.m = e_.q_len, .n = e_.head_width, .k = e_.k_len, .batch = grid_.examples},
               of_head(dscores_, h), key_vectors(in_.k.as<T>(), h),
               queries_of_head(dcontent_query_, h));
    }
  }

  void backward_positions(const RelativeAttentionBackward& args) {
    multiply({.m = grid_.tokens(), .n = e_.head_width, .k = e_.positions, .batch = e_.heads},
             by_head(dposition_, e_.positions), position_vectors(in_.r.as<T>()),
             by_head(dposition_query_, e_.head_width));
    multiply({.m = e_.positions,
              .n = e_.head_width,
              .k = grid_.tokens(),
              .transpose_a = true,
              .accumulate = grid_.first_example > 0,
              .batch = e_.heads},
             by_head(dposition_, e_.positions), by_head(position_query_, e_.head_width),
             position_vectors(args.dr.as<T>()));
  }

  void backward_queries(const RelativeAttentionBackward& args) {
    for_each_row(context_, grid_.rows(),
                 QueryGradientRow<T>{grid_, scale(), dcontent_query_, dposition_query_,
                                     in_.q.as<T>(), in_.segment_bias.as<T>(), embedding(), ddots_,
                                     args.dq.as<T>(), parts_});
    sum_query_parts(context_,
                    ConstTensor(parts_, {kQueryParts, grid_.tokens(), e_.width()}, dtype_of<C>(),
                                context_.device()),
                    args);
  }

  Context& context_;
  const AttentionInputs& in_;
  const AttentionExtents e_;
  const int64_t group_;
  Scratch scratch_;
  QueryGrid grid_{};
  C* penalty_ = nullptr;                // [batch, k_len]
  T *content_query_, *position_query_;  // [rows, head_width]
  C* dots_;                             // [rows, 2]
  C *scores_, *position_;               // [rows, k_len], [rows, positions]
  T *probabilities_, *dposition_ = nullptr;
  C *dprobabilities_ = nullptr, *ddots_ = nullptr;
  T* dscores_ = nullptr;
  C *dcontent_query_ = nullptr, *dposition_query_ = nullptr, *parts_ = nullptr;
};

}  // namespace

void attention_forward_materialised(Context& context, const RelativeAttentionForward& args,
                                    const AttentionExtents& extents) {
  with_storage_type(args.in.q.dtype(), [&](auto zero) {
    MaterialisedAttention<decltype(zero)>(context, args.in, extents).forward(args);
  });
}

void attention_backward_materialised(Context& context, const RelativeAttentionBackward& args,
                                     const AttentionExtents& extents) {
  with_storage_type(args.in.q.dtype(), [&](auto zero) {
    MaterialisedAttention<decltype(zero)>(context, args.in, extents).backward(args);
  });
}

// Of a row of scores, an example's query in one head: the buffers of MaterialisedAttention.
int64_t materialised_scratch_bytes(DType dtype, const AttentionExtents& e) {
  const int64_t sum = size_of(compute_dtype(dtype)), operand = size_of(dtype);
  const int64_t beside = dtype == compute_dtype(dtype) ? 0 : operand;
  const int64_t of_keys = 2 * (sum + beside) * e.k_len;
  const int64_t of_positions = (sum + beside) * e.positions;
  const int64_t of_vectors = (2 * operand + 7 * sum) * e.head_width + 4 * sum;
  const int64_t rows = e.heads * examples_of_group(e) * e.q_len;
  return rows * (of_keys + of_positions + of_vectors) + e.batch * e.k_len * sum;
}

}  // namespace funnel
