// SPDX-License-Identifier: Apache-2.0
#include "core/ops/discriminator_loss.h"

#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

// Rows whose share of the parameters' gradients one call of the functor adds up.
constexpr int64_t kRowsPerBlock = 32;

// One block of rows, and the block's part of the parameters' gradients, which it holds meanwhile.
template <class T, class HeldRows>
struct DiscriminatorLossBlock {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  T* pre;
  const T* weight;
  const T* bias;
  const uint8_t* labels;
  const uint8_t* hidden;
  C* logits;
  C* loss;
  uint8_t* correct;
  int64_t rows, cols;
  C factor;
  int64_t blocks;
  C* partial;       // [2, blocks, cols], of weight and of pre's bias; null: no gradients
  C* bias_partial;  // [blocks]

  template <class Team>
  struct Parts {
    C dweight[Team::slots(Held::kMost)], dpre[Team::slots(Held::kMost)];
  };

  template <class Team>
  FUNNEL_HD void operator()(int64_t block, const Team& team) const {
    Parts<Team> parts;
    team.template each_slot<Held::kMost>(cols, [&](int64_t, int64_t s) {
      parts.dweight[s] = 0;
      parts.dpre[s] = 0;
    });
    const int64_t first = block * kRowsPerBlock;
    const int64_t last = first + kRowsPerBlock < rows ? first + kRowsPerBlock : rows;
    C dbias = 0;
    for (int64_t row = first; row < last; ++row) dbias += visit(row, parts, team);
    if (partial == nullptr) return;
    if (team.leader()) bias_partial[block] = dbias;
    C* dweight = partial + block * cols;
    C* dpre = dweight + blocks * cols;
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      dweight[i] = parts.dweight[s];
      dpre[i] = parts.dpre[s];
    });
  }

  // Returns the gradient of the row's logit.
  template <class Team>
  FUNNEL_HD C visit(int64_t row, Parts<Team>& parts, const Team& team) const {
    T* in = pre + row * cols;
    const T* w = weight;
    C x[Team::slots(Held::kMost)], active[Team::slots(Held::kMost)];
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      x[s] = in[i];
      active[s] = math::gelu(x[s]);
    });
    const C z = team.template sum_slots<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      return active[s] * w[i];
    }) + C(*bias);
    const bool label = labels[row] != 0, counts = hidden[row] == 0;
    if (team.leader()) {
      const C value = (z > 0 ? z : C(0)) - (label ? z : C(0)) + math::log1p_exp_minus_abs(z);
      logits[row] = z;
      loss[row] = counts ? value : C(0);
      correct[row] = counts & ((z > 0) == label);
    }
    if (partial == nullptr) return 0;
    const C dlogit = counts ? factor * (math::sigmoid(z) - (label ? C(1) : C(0))) : C(0);
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      const T dpre(dlogit * w[i] * math::gelu_gradient(x[s]));
      in[i] = dpre;
      parts.dweight[s] += dlogit * active[s];
      parts.dpre[s] += dpre;
    });
    return dlogit;
  }
};

void check(const DiscriminatorLoss& args) {
  const int64_t rows = args.pre.rows(), cols = args.pre.cols();
  check_shape("discriminator_loss: weight", args.weight, {cols});
  check_shape("discriminator_loss: bias", args.bias, {1});
  check_shape("discriminator_loss: labels", args.labels, {rows});
  check_shape("discriminator_loss: hidden", args.hidden, {rows});
  check_shape("discriminator_loss: logits", args.logits, {rows});
  check_shape("discriminator_loss: loss", args.loss, {rows});
  check_shape("discriminator_loss: correct", args.correct, {rows});
  if (!args.wants_gradient) return;
  check_shape("discriminator_loss: dweight", args.dweight, {cols});
  check_shape("discriminator_loss: dbias", args.dbias, {1});
  check_shape("discriminator_loss: dpre_bias", args.dpre_bias, {cols});
}

}  // namespace

void discriminator_loss(Context& context, const DiscriminatorLoss& args) {
  check(args);
  const int64_t rows = args.pre.rows(), cols = args.pre.cols();
  const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
  Scratch scratch(context.scratch());
  Tensor partial, bias_partial;
  if (args.wants_gradient) {
    const DType summed = compute_dtype(args.pre.dtype());
    partial = scratch.tensor({2, blocks, cols}, summed);
    bias_partial = scratch.tensor({blocks, 1}, summed);
  }
  with_storage_type(args.pre.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    with_held_row<C>(cols, [&](auto held) {
      for_each_row(context, blocks,
                   DiscriminatorLossBlock<T, decltype(held)>{.pre = args.pre.as<T>(),
                                                             .weight = args.weight.as<T>(),
                                                             .bias = args.bias.as<T>(),
                                                             .labels = args.labels.as<uint8_t>(),
                                                             .hidden = args.hidden.as<uint8_t>(),
                                                             .logits = args.logits.as<C>(),
                                                             .loss = args.loss.as<C>(),
                                                             .correct = args.correct.as<uint8_t>(),
                                                             .rows = rows,
                                                             .cols = cols,
                                                             .factor = static_cast<C>(args.factor),
                                                             .blocks = blocks,
                                                             .partial = partial.as<C>(),
                                                             .bias_partial = bias_partial.as<C>()});
    });
  });
  if (!args.wants_gradient) return;
  const Tensor sums[] = {args.dweight, args.dpre_bias};
  sum_parts(context, partial, sums);
  sum_rows(context, bias_partial, args.dbias);
}

}  // namespace funnel
