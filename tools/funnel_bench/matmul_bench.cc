// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/matmul_bench.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "core/backend/matmul.h"
#include "core/model/model_cost.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

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

double expected_element(const RandomPool& pool, const Problem& problem, int64_t row,
                        int64_t column) {
  const Matmul& m = problem.args;
  double sum = problem.bias ? pool.value(problem.bias, column) : 0;
  for (int64_t k = 0; k < m.k; ++k) {
    sum +=
        at(pool, problem.a, m.transpose_a, row, k) * at(pool, problem.b, m.transpose_b, k, column);
  }
  return sum;
}

// Of f32 sums, of sums of bf16 products in tensor cores (which may cut off), of results in bf16.
double tolerance(const Matmul& args) {
  if (args.c_dtype == DType::bf16) return 1e-2;
  return args.dtype == DType::bf16 ? 1e-3 : 3e-5;
}

class MatmulBench {
 public:
  // `operand` and `result`: elements of the largest.
  MatmulBench(Context& context, DType dtype, int64_t operand, int64_t result, int repeats,
              int algorithms = 1)
      : context_(context),
        dtype_(dtype),
        repeats_(repeats),
        algorithms_(algorithms),
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
    row.tolerance = tolerance(m);
    row = measure(
        problem, [&] { matmul(context_, m); }, row);
    if (row.right() && algorithms_ > 1) time_algorithms(problem, row);
    return row;
  }

  Measurement measure(const Problem& problem, const std::function<void()>& work,
                      const Measurement& row) {
    CheckedCase one{.row = row, .outputs = {problem.c}, .begin = {}, .work = work, .error = {}};
    if (problem.args.accumulate) one.begin = [&] { context_.fill_zero(problem.c); };
    one.error = [&] {
      return sampled_error(context_, problem.c, [&](int64_t i, int64_t j) {
        return expected_element(pool_, problem, i, j);
      });
    };
    return funnel::measure(context_, one, repeats_);
  }

  // Whatever the library offers for this product must be right, and repeat its bits.
  void time_algorithms(const Problem& problem, Measurement& row) {
    MatmulPrimitives& library = context_.matmul_primitives();
    const int count = library.count_ways(problem.args, algorithms_);
    for (int i = 0; i < count; ++i) {
      const Measurement one = measure(
          problem, [&] { library.run_way(problem.args, i); }, row);
      if (one.milliseconds) {
        row.algorithm_ms.push_back(*one.milliseconds);
      } else {
        ++row.wrong_algorithms;
      }
    }
  }

  Context& context_;
  DType dtype_;
  int repeats_, algorithms_;
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
                                      int repeats, int algorithms) {
  const std::vector<Linear> linears = linears_of(config);
  int64_t largest = 0;
  for (const Linear& l : linears) {
    largest = std::max({largest, l.rows * l.in, l.rows * l.out, l.in * l.out});
  }
  MatmulBench bench(context, dtype, largest, largest, repeats, algorithms);
  std::vector<Measurement> rows;
  for (const Linear& linear : linears) {
    for (const Part part : {Part::forward, Part::input_gradient, Part::weight_gradient}) {
      rows.push_back(bench.measure(linear, part));
    }
  }
  return rows;
}

}  // namespace funnel
