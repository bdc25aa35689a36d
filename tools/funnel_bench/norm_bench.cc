// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <optional>

#include "core/model/model_config.h"
#include "core/ops/residual_norm.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/norm_way.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

constexpr int64_t kRows = 64, kColumns = 8;  // that are checked

class NormBench {
 public:
  // The way is chosen once y is there.
  using ChooseWay = std::function<NormWay(const NormWayParts&)>;

  // The pool has room for three tensors of `longest` elements.
  NormBench(Context& context, DType dtype, Shape shape, int64_t longest, double dropout,
            const ChooseWay& choose)
      : context_(context),
        dtype_(dtype),
        shape_(shape),
        pool_(context, dtype, 3 * longest + 4 * shape[1]),
        memory_(context.device()),
        dropout_(dropout, RandomStream(1, Site("bench norm"), 0), 0) {
    // A run adds to what the run before has left; kept elements are halved, so sums stay finite.
    dropout_.scale = 0.5F;
    for (Tensor* one : {&sum_, &y_, &dresidual_, &dbranch_}) *one = memory_.tensor(shape, dtype);
    for (Tensor* one : {&mean_, &rstd_}) *one = memory_.tensor({shape[0]}, DType::f32);
    for (Tensor* one : {&dgamma_, &dbeta_, &dbias_}) *one = memory_.tensor({shape[1]}, DType::f32);
    residual_ = pool_.tensor(shape);
    branch_ = pool_.tensor(shape);
    gamma_ = pool_.tensor({shape[1]});
    beta_ = pool_.tensor({shape[1]});
    way_.emplace(choose({context_, pool_, memory_, y_}));
  }

  CheckedCase forward() {
    std::vector<Tensor> outputs{sum_, y_, mean_, rstd_};
    outputs.insert(outputs.end(), way_->outputs.begin(), way_->outputs.end());
    return {.row = row("forward", way_->forward_elements),
            .outputs = outputs,
            .begin =
                [this, outputs] {
                  for (const Tensor& one : outputs) poison(context_, one);
                  context_.copy(branch_, sum_);
                },
            .work =
                [this] {
                  residual_norm_forward(context_, {.residual = residual_,
                                                   .branch = sum_,
                                                   .dropout = dropout_,
                                                   .gamma = gamma_,
                                                   .beta = beta_,
                                                   .y = y_,
                                                   .mean = mean_,
                                                   .rstd = rstd_,
                                                   .outlet = way_->outlet});
                },
            .error = [this] { return larger_error(forward_error(), way_->error()); }};
  }

  CheckedCase backward() {
    return {.row = row("backward", way_->backward_elements),
            .outputs = {dresidual_, dbranch_, dgamma_, dbeta_, dbias_},
            .begin =
                [this] {
                  for (const Tensor& one : {dresidual_, dbranch_}) poison(context_, one);
                  for (const Tensor& one : {dgamma_, dbeta_, dbias_}) context_.fill_zero(one);
                },
            .work =
                [this] {
                  residual_norm_backward(context_, {.sum = sum_,
                                                    .gamma = gamma_,
                                                    .mean = mean_,
                                                    .rstd = rstd_,
                                                    .dropout = dropout_,
                                                    .gradient = way_->gradient,
                                                    .dresidual = dresidual_,
                                                    .dbranch = dbranch_,
                                                    .dgamma = dgamma_,
                                                    .dbeta = dbeta_,
                                                    .dbias = dbias_});
                },
            .error = [this] { return larger_error(row_error(), column_error()); }};
  }

 private:
  // Two read, two written, the statistics, and what the way adds.
  Measurement row(const char* part, int64_t more_elements) const {
    Measurement row{
        .name = concat("residual, dropout, layer norm", way_->name, " ", shape_[0], "x", shape_[1]),
        .part = part,
        .path = {}};
    row.dtype = dtype_;
    row.bytes = static_cast<double>((4 * shape_.elements() + more_elements) * size_of(dtype_) +
                                    2 * shape_[0] * size_of(DType::f32));
    row.tolerance = dtype_ == DType::bf16 ? 1e-2 : 3e-5;
    return row;
  }

  double rounded(double value) const {
    const auto f32 = static_cast<float>(value);
    return dtype_ == DType::bf16 ? float(BFloat16(f32)) : f32;
  }

  HostCopy row_of(const Tensor& tensor, int64_t row) {
    return {context_, tensor.slice(row * shape_[1], {shape_[1]})};
  }

  // Statistics are those of the rounded sum.
  double forward_error() {
    const int64_t cols = shape_[1];
    Deviation sums, ys;
    for (const int64_t row : sampled_rows(shape_[0], kRows)) {
      const HostCopy sum = row_of(sum_, row), y = row_of(y_, row);
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < cols; ++c) {
        const int64_t i = row * cols + c;
        sums.add(sum.value(c),
                 rounded(pool_.value(residual_, i) + dropout_.factor(i) * pool_.value(branch_, i)));
        mean += sum.value(c) / static_cast<double>(cols);
      }
      for (int64_t c = 0; c < cols; ++c) {
        const double d = sum.value(c) - mean;
        variance += d * d / static_cast<double>(cols);
      }
      for (int64_t c = 0; c < cols; ++c) {
        ys.add(y.value(c), (sum.value(c) - mean) / std::sqrt(variance) * pool_.value(gamma_, c) +
                               pool_.value(beta_, c));
      }
    }
    return larger_error(sums.relative(), ys.relative());
  }

  // dx = rstd (g - mean(g) - xhat mean(g xhat)), g = gamma dy.
  double row_error() {
    const int64_t cols = shape_[1];
    const HostCopy means(context_, mean_), rstds(context_, rstd_);
    Deviation residuals, branches;
    for (const int64_t row : sampled_rows(shape_[0], kRows)) {
      const HostCopy sum = row_of(sum_, row), dresidual = row_of(dresidual_, row);
      const HostCopy dbranch = row_of(dbranch_, row);
      const double mean = means.value(row), rstd = rstds.value(row);
      const auto g = [&](int64_t c) { return pool_.value(gamma_, c) * way_->dy(row, c); };
      const auto xhat = [&](int64_t c) { return (sum.value(c) - mean) * rstd; };
      double mean_g = 0, mean_gx = 0;
      for (int64_t c = 0; c < cols; ++c) {
        mean_g += g(c) / static_cast<double>(cols);
        mean_gx += g(c) * xhat(c) / static_cast<double>(cols);
      }
      for (int64_t c = 0; c < cols; ++c) {
        const double dx = rstd * (g(c) - mean_g - xhat(c) * mean_gx);
        residuals.add(dresidual.value(c), dx);
        branches.add(dbranch.value(c), dropout_.factor(row * cols + c) * dx);
      }
    }
    return larger_error(residuals.relative(), branches.relative());
  }

  double column_error() {
    const int64_t rows = shape_[0], cols = shape_[1];
    const HostCopy means(context_, mean_), rstds(context_, rstd_), sum(context_, sum_);
    const HostCopy dgamma(context_, dgamma_), dbeta(context_, dbeta_);
    const HostCopy dbranch(context_, dbranch_), dbias(context_, dbias_);
    Deviation gammas, betas, biases;
    for (const int64_t c : sampled_rows(cols, kColumns)) {
      double of_gamma = 0, of_beta = 0, of_bias = 0;
      for (int64_t row = 0; row < rows; ++row) {
        const double dy = way_->dy(row, c);
        of_gamma += dy * (sum.value(row * cols + c) - means.value(row)) * rstds.value(row);
        of_beta += dy;
        of_bias += dbranch.value(row * cols + c);
      }
      gammas.add(dgamma.value(c), of_gamma);
      betas.add(dbeta.value(c), of_beta);
      biases.add(dbias.value(c), of_bias);
    }
    return larger_error(larger_error(gammas.relative(), betas.relative()), biases.relative());
  }

  Context& context_;
  DType dtype_;
  Shape shape_;
  RandomPool pool_;
  Arena memory_;
  Dropout dropout_;
  ConstTensor residual_, branch_, gamma_, beta_;
  Tensor sum_, y_, mean_, rstd_, dresidual_, dbranch_, dgamma_, dbeta_, dbias_;
  std::optional<NormWay> way_;
};

void measure_both_directions(Context& context, NormBench& bench, int repeats,
                             std::vector<Measurement>& rows) {
  const CheckedCase forward = bench.forward();
  rows.push_back(measure(context, forward, repeats));
  // Backward reads what a single forward leaves.
  forward.begin();
  forward.work();
  rows.push_back(measure(context, bench.backward(), repeats));
}

}  // namespace

// Within a block, before a pooling, and before the decoder.
void bench_norms(Context& context, const RunConfig& config, DType dtype, int repeats,
                 std::vector<Measurement>& rows) {
  const FunnelConfig& model = config.pretrain.model;
  const int64_t batch = config.train.shard_batch(), seq = config.data.seq_len;
  const auto measure_way = [&](int64_t len, const NormBench::ChooseWay& choose) {
    NormBench bench(context, dtype, {batch * len, model.width}, batch * seq * model.width,
                    model.hidden_dropout, choose);
    measure_both_directions(context, bench, repeats, rows);
  };
  measure_way(seq, plain_way);
  if (model.blocks.size() == 1) return;
  measure_way(seq, [&](const NormWayParts& parts) {
    return pooled_way(parts, {seq, model.separate_cls, model.truncate_seq});
  });
  const int64_t stride = int64_t{1} << (model.blocks.size() - 1);
  measure_way(block_lengths(model, seq).back(), [&](const NormWayParts& parts) {
    return upsampled_way(parts, {stride, model.separate_cls}, batch, seq);
  });
}

}  // namespace funnel
