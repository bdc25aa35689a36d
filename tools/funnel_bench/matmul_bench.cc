// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/matmul_bench.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/backend/matmul.h"
#include "core/backend/stopwatch.h"
#include "core/base/random.h"
#include "core/model/model_cost.h"
#include "tools/funnel_bench/random_pool.h"

namespace funnel {
namespace {

constexpr int64_t kSamples = 64;  // elements of a result that are checked

enum class Part { forward, input_gradient, weight_gradient };

// A linear layer at work on `rows` positions.
struct Linear {
  std::string name;
  int64_t rows, in, out;
};

// The operands of one product; C is overwritten, or added to zeros.
struct Problem {
  Matmul args;
  ConstTensor a, b, bias;
  Tensor c;
};

double at(const RandomPool& pool, const ConstTensor& matrix, bool transposed, int64_t row,
          int64_t column) {
  const int64_t ld = matrix.shape()[1];
  return pool.value(matrix, transposed ? column * ld + row : row * ld + column);
}

// The relative error of a sample of elements, first and last among them.
double sampled_error(const RandomPool& pool, const Problem& problem, const HostCopy& found) {
  const Matmul& m = problem.args;
  double difference = 0, size = 0;
  for (int64_t sample = 0; sample < kSamples; ++sample) {
    const uint64_t draw = Site::mix(static_cast<uint64_t>(sample));
    const int64_t row = sample == 0 ? 0 : sample == 1 ? m.m - 1 : int64_t(draw % uint64_t(m.m));
    const int64_t column = sample == 0   ? 0
                           : sample == 1 ? m.n - 1
                                         : int64_t((draw >> 32) % uint64_t(m.n));
    double sum = problem.bias ? pool.value(problem.bias, column) : 0;
    for (int64_t k = 0; k < m.k; ++k) {
      sum += at(pool, problem.a, m.transpose_a, row, k) *
             at(pool, problem.b, m.transpose_b, k, column);
    }
    const double error = found.value(row * m.n + column) - sum;
    difference += error * error;
    size += sum * sum;
  }
  return std::sqrt(difference / size);
}

// Of f32 sums, of sums of bf16 products in tensor cores (which may cut off), of results in bf16.
double tolerance(const Matmul& args) {
  if (args.c_dtype == DType::bf16) return 1e-2;
  return args.dtype == DType::bf16 ? 1e-3 : 3e-5;
}

class MatmulBench {
 public:
  // `operand` and `result`: elements of the largest.
  MatmulBench(Context& context, DType dtype, int64_t operand, int64_t result, int repeats)
      : context_(context),
        dtype_(dtype),
        repeats_(repeats),
        pool_(context, dtype, 2 * operand),
        result_(context.device(), result * size_of(DType::f32)) {}

  Measurement measure(const Linear& linear, Part part) {
    const bool forward = part == Part::forward, weight = part == Part::weight_gradient;
    const Tensor x = pool_.tensor({linear.rows, linear.in});
    const Tensor w = pool_.tensor({linear.in, linear.out});
    const Tensor dy = pool_.tensor({linear.rows, linear.out});
    const Tensor bias = pool_.tensor({linear.out});
    Problem problem{
        .args = {}, .a = forward || weight ? x : dy, .b = weight ? dy : w, .bias = {}, .c = {}};
    Matmul& m = problem.args;
    m.dtype = dtype_;
    m.c_dtype = weight ? DType::f32 : dtype_;
    m.m = weight ? linear.in : linear.rows;
    m.n = part == Part::input_gradient ? linear.in : linear.out;
    m.k = forward ? linear.in : weight ? linear.rows : linear.out;
    m.transpose_a = weight;
    m.transpose_b = part == Part::input_gradient;
    m.accumulate = weight;
    if (forward) problem.bias = bias;
    return measure(linear.name, problem,
                   forward  ? "forward"
                   : weight ? "weight gradient"
                            : "input gradient");
  }

  Measurement measure_square(int64_t edge) {
    Problem problem{.args = {},
                    .a = pool_.tensor({edge, edge}),
                    .b = pool_.tensor({edge, edge}),
                    .bias = {},
                    .c = {}};
    problem.args.dtype = problem.args.c_dtype = dtype_;
    problem.args.m = problem.args.n = problem.args.k = edge;
    return measure(concat(edge, "^3"), problem, "product");
  }

 private:
  Measurement measure(const std::string& name, Problem& problem, const std::string& part) {
    Matmul& m = problem.args;
    m.a = problem.a.data();
    m.b = problem.b.data();
    m.bias = problem.bias.data();
    m.lda = problem.a.shape()[1];
    m.ldb = problem.b.shape()[1];
    m.ldc = m.n;
    problem.c = result_.tensor({m.m, m.n}, m.c_dtype);
    m.c = problem.c.data();
    Measurement row{.name = concat(name, " ", m.m, "x", m.n, "x", m.k), .part = part, .path = {}};
    row.dtype = dtype_;
    row.flops =
        2.0 * static_cast<double>(m.m) * static_cast<double>(m.n) * static_cast<double>(m.k);
    row.bytes = static_cast<double>(problem.a.bytes() + problem.b.bytes() +
                                    problem.c.bytes() * (m.accumulate ? 2 : 1));
    check(problem, row);
    if (row.right()) row.milliseconds = median_ms(context_, repeats_, [&] { matmul(context_, m); });
    return row;
  }

  void check(const Problem& problem, Measurement& row) {
    uint64_t digests[2];
    for (uint64_t& digest : digests) {
      if (problem.args.accumulate) {
        context_.fill_zero(problem.c);
      } else {
        poison(context_, problem.c);
      }
      matmul(context_, problem.args);
      const HostCopy found(context_, problem.c);
      digest = found.digest();
      row.error = found.has_nan() ? std::nan("") : sampled_error(pool_, problem, found);
    }
    row.bits_repeat = digests[0] == digests[1];
    row.tolerance = tolerance(problem.args);
  }

  Context& context_;
  DType dtype_;
  int repeats_;
  RandomPool pool_;
  Buffer result_;
};

void add_layers(std::vector<Linear>& all, const std::string& prefix, const FunnelConfig& model,
                int64_t batch, int64_t seq, bool every_length) {
  std::set<int64_t> lengths;
  for (const LayerRun& run : layer_runs(model, seq, PositionScores::shifted)) {
    if (!lengths.insert(run.queries).second || (!every_length && lengths.size() > 1)) continue;
    const int64_t rows = batch * run.queries, heads = model.heads * model.head_width;
    const std::string at = concat(prefix, "T=", run.queries, " ");
    all.push_back({at + "attention projection", rows, model.width, heads});
    all.push_back({at + "feed-forward in", rows, model.width, model.inner});
    all.push_back({at + "feed-forward out", rows, model.inner, model.width});
  }
}

std::vector<Linear> linears_of(const RunConfig& config) {
  const PretrainConfig& pretrain = config.pretrain;
  const int64_t batch = config.train.shard_batch(), seq = config.data.seq_len;
  const bool electra = pretrain.objective == Objective::electra;
  std::vector<Linear> all;
  add_layers(all, "", pretrain.model, batch, seq, true);
  if (electra) add_layers(all, "generator ", generator_config(pretrain), batch, seq, false);
  all.push_back({"vocabulary", batch * config.corruption.predictions,
                 pretrain.model.embedding_width, pretrain.model.vocab});
  return all;
}

}  // namespace

Measurement matmul_ceiling(Context& context, DType dtype, int64_t edge, int repeats) {
  return MatmulBench(context, dtype, edge * edge, edge * edge, repeats).measure_square(edge);
}

std::vector<Measurement> bench_matmul(Context& context, const RunConfig& config, DType dtype,
                                      int repeats) {
  const std::vector<Linear> linears = linears_of(config);
  int64_t largest = 0;
  for (const Linear& l : linears) {
    largest = std::max({largest, l.rows * l.in, l.rows * l.out, l.in * l.out});
  }
  MatmulBench bench(context, dtype, largest, largest, repeats);
  std::vector<Measurement> rows;
  for (const Linear& linear : linears) {
    for (const Part part : {Part::forward, Part::input_gradient, Part::weight_gradient}) {
      rows.push_back(bench.measure(linear, part));
    }
  }
  return rows;
}

}  // namespace funnel
