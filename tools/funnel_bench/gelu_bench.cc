// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/gelu_bench.h"

#include <cmath>
#include <functional>
#include <set>

#include "core/backend/matmul.h"
#include "core/model/model_cost.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

const double kRoot = std::sqrt(2 / std::acos(-1.0));

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(kRoot * (x + 0.044715 * x * x * x)));
}

double gelu_slope(double x) {
  const double t = std::tanh(kRoot * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kRoot * (1 + 3 * 0.044715 * x * x);
}

class GeluBench {
 public:
  GeluBench(Context& context, DType dtype, int64_t rows, int64_t width, int64_t inner, int repeats)
      : context_(context),
        dtype_(dtype),
        rows_(rows),
        width_(width),
        inner_(inner),
        repeats_(repeats),
        pool_(context, dtype, 2 * rows * inner + 2 * width * inner),
        memory_(context.device(), 2 * rows * inner * size_of(dtype)) {}

  // y = gelu(pre), pre = x w + bias.
  void forward(const std::string& name, std::vector<Measurement>& rows) {
    const ConstTensor x = pool_.tensor({rows_, width_}), w = pool_.tensor({width_, inner_});
    const ConstTensor bias = pool_.tensor({inner_});
    const LinearGeluForward args{
        .x = x, .w = w, .bias = bias, .dropout = {}, .pre = result(0), .y = result(1)};
    const auto expected = [&](int64_t i, int64_t j) {
      double sum = pool_.value(bias, j);
      for (int64_t k = 0; k < width_; ++k) {
        sum += pool_.value(x, i * width_ + k) * pool_.value(w, k * inner_ + j);
      }
      return gelu(sum);
    };
    const auto add = [&](const char* path, const std::function<void()>& work) {
      rows.push_back(measure(name, "forward", path, work, result(1), expected));
      rows.back().bytes = static_cast<double>(x.bytes() + w.bytes() + 2 * result(0).bytes());
    };
    if (is_joined(Epilogue::gelu, false)) {
      add("joined", [&] { linear_gelu_forward(context_, args); });
    }
    add("apart", [&] {
      linear_forward(context_, x, w, bias, args.pre);
      gelu_forward(context_, {}, args.pre, args.y);
    });
  }

  // dpre = dy w^T gelu'(pre), in front of the layer that brings it back to the width.
  void backward(const std::string& name, std::vector<Measurement>& rows) {
    const ConstTensor dy = pool_.tensor({rows_, width_}), w = pool_.tensor({inner_, width_});
    const ConstTensor pre = pool_.tensor({rows_, inner_});
    const LinearGeluBackward args{.dy = dy, .w = w, .pre = pre, .dropout = {}, .dpre = result(0)};
    const auto expected = [&](int64_t i, int64_t j) {
      double sum = 0;
      for (int64_t k = 0; k < width_; ++k) {
        sum += pool_.value(dy, i * width_ + k) * pool_.value(w, j * width_ + k);
      }
      return sum * gelu_slope(pool_.value(pre, i * inner_ + j));
    };
    const auto add = [&](const char* path, const std::function<void()>& work) {
      rows.push_back(measure(name, "backward", path, work, result(0), expected));
      rows.back().bytes = static_cast<double>(dy.bytes() + w.bytes() + 2 * pre.bytes());
    };
    if (is_joined(Epilogue::gelu_gradient, true)) {
      add("joined", [&] { linear_gelu_backward(context_, args); });
    }
    add("apart", [&] {
      linear_backward_input(context_, dy, w, args.dpre);
      gelu_backward(context_, {}, pre, args.dpre, args.dpre);
    });
  }

 private:
  Tensor result(int which) const {
    return memory_.tensor({2 * rows_, inner_}, dtype_)
        .slice(which * rows_ * inner_, {rows_, inner_});
  }

  bool is_joined(Epilogue epilogue, bool transpose_b) {
    const Tensor b = pool_.tensor({width_, inner_});
    return fuses(context_, {.dtype = dtype_,
                            .c_dtype = dtype_,
                            .m = rows_,
                            .n = inner_,
                            .k = width_,
                            .a = pool_.tensor({rows_, width_}).data(),
                            .lda = width_,
                            .b = b.data(),
                            .ldb = transpose_b ? width_ : inner_,
                            .transpose_b = transpose_b,
                            .c = result(1).data(),
                            .ldc = inner_,
                            .epilogue = epilogue,
                            .pre = result(0).data()});
  }

  Measurement measure(const std::string& name, const char* part, const char* path,
                      const std::function<void()>& work, const Tensor& result,
                      const std::function<double(int64_t, int64_t)>& expected) {
    Measurement row{.name = name, .part = part, .path = path};
    row.dtype = dtype_;
    row.flops = 2.0 * static_cast<double>(rows_ * width_) * static_cast<double>(inner_);
    row.tolerance = dtype_ == DType::bf16 ? 1e-2 : 3e-5;
    return funnel::measure(context_,
                           {.row = row,
                            .outputs = {result},
                            .begin = {},
                            .work = work,
                            .error = [&] { return sampled_error(context_, result, expected); }},
                           repeats_);
  }

  Context& context_;
  DType dtype_;
  int64_t rows_, width_, inner_;
  int repeats_;
  RandomPool pool_;
  Buffer memory_;
};

}  // namespace

std::vector<Measurement> bench_gelu(Context& context, const RunConfig& config, DType dtype,
                                    int repeats) {
  const FunnelConfig& model = config.pretrain.model;
  std::vector<Measurement> rows;
  std::set<int64_t> lengths;
  for (const LayerRun& run : layer_runs(model, config.data.seq_len, PositionScores::shifted)) {
    if (!lengths.insert(run.queries).second) continue;
    const int64_t n = config.train.shard_batch() * run.queries;
    GeluBench bench(context, dtype, n, model.width, model.inner, repeats);
    const std::string name =
        concat("T=", run.queries, " GELU ", n, "x", model.inner, "x", model.width);
    bench.forward(name, rows);
    bench.backward(name, rows);
  }
  return rows;
}

}  // namespace funnel
