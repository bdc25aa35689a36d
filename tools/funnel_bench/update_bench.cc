// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/model/pretrain_task.h"
#include "core/ops/adam.h"
#include "core/optim/adamw.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

constexpr int64_t kMost = int64_t{1} << 25;  // elements: far more than any cache holds
// Rates so high that a weight's change is not small beside it.
constexpr double kRate = 0.1, kDecay = 1e-2, kBeta1 = 0.9, kBeta2 = 0.99, kEpsilon = 1e-6;

class UpdateBench {
 public:
  UpdateBench(Context& context, DType dtype, int64_t n)
      : context_(context),
        dtype_(dtype),
        n_(n),
        pool_(context, DType::f32, 2 * n),
        memory_(context.device()),
        table_(context, std::vector<DecayRun>{{0, n, true}}, 0, n) {
    given_ = pool_.tensor({n});
    grads_ = pool_.tensor({n});
    for (Tensor* one : {&values_, &moment1_, &moment2_}) *one = memory_.tensor({n}, DType::f32);
    if (dtype == DType::bf16) copy_ = memory_.tensor({n}, DType::bf16);
  }

  // Weights and moments read and written, gradients read, a copy of the weights written. The
  // second update of two is checked, for which the moments are not zero.
  CheckedCase update() {
    Measurement row{.name = concat("AdamW of ", n_), .part = "update", .path = {}};
    row.dtype = dtype_;
    row.bytes = static_cast<double>(2 * 3 * values_.bytes() + grads_.bytes() + copy_.bytes());
    row.tolerance = dtype_ == DType::bf16 ? 1e-2 : 1e-5;
    std::vector<Tensor> outputs{values_, moment1_, moment2_};
    if (copy_) outputs.push_back(copy_);
    return {.row = row,
            .outputs = outputs,
            .begin =
                [this] {
                  context_.copy(given_, values_);
                  for (const Tensor& one : {moment1_, moment2_}) context_.fill_zero(one);
                  run();
                  if (copy_) poison(context_, copy_);
                },
            .work = [this] { run(); },
            .error = [this] { return error(); }};
  }

 private:
  void run() {
    adam_update(context_, {.values = values_,
                           .moment1 = moment1_,
                           .moment2 = moment2_,
                           .copy = copy_,
                           .grads = grads_,
                           .chunks = table_.chunks(),
                           .factor = {},
                           .beta1 = kBeta1,
                           .beta2 = kBeta2,
                           .epsilon = kEpsilon,
                           .rate = kRate,
                           .decay = kDecay});
  }

  double expected(int64_t i) const {
    const double g = pool_.value(grads_, i);
    double w = pool_.value(given_, i), m = 0, v = 0;
    for (int update = 0; update < 2; ++update) {
      m = kBeta1 * m + (1 - kBeta1) * g;
      v = kBeta2 * v + (1 - kBeta2) * g * g;
      w -= kRate * m / (std::sqrt(v) + kEpsilon) + kDecay * w;
    }
    return w;
  }

  double error() {
    const auto of = [this](const Tensor& tensor) {
      return sampled_error(context_, tensor.reshaped({n_, 1}),
                           [this](int64_t i, int64_t) { return expected(i); });
    };
    return copy_ ? larger_error(of(values_), of(copy_)) : of(values_);
  }

  Context& context_;
  DType dtype_;
  int64_t n_;
  RandomPool pool_;
  Arena memory_;
  UpdateTable table_;
  ConstTensor given_, grads_;
  Tensor values_, moment1_, moment2_, copy_;
};

}  // namespace

void bench_update(Context& context, const RunConfig& config, DType dtype, int repeats,
                  std::vector<Measurement>& rows) {
  Params params(dtype);
  const PretrainTask task(params, config.pretrain);
  UpdateBench bench(context, dtype, std::min(params.flat_elements(), kMost));
  rows.push_back(measure(context, bench.update(), repeats));
}

}  // namespace funnel
