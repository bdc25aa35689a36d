// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/attention_bench.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/backend/stopwatch.h"
#include "core/model/model_cost.h"
#include "tools/funnel_bench/attention_problem.h"

namespace funnel {
namespace {

constexpr int64_t kCheckedBatch = 2;

// What is switched off, to see what it costs.
struct Variant {
  const char* name;
  bool dropout, segments;
};
constexpr Variant kWhole{"", true, true};

double relative_error(const std::vector<double>& found, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  return std::sqrt(difference / size);
}

// The largest error among outputs; NaN wins, so that nothing unwritten passes.
double largest_error(const AttentionProblem& found, const AttentionProblem& expected,
                     bool backward) {
  double largest = 0;
  const std::vector<std::vector<double>> values = found.outputs(backward);
  const std::vector<std::vector<double>> wanted = expected.outputs(backward);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double error = relative_error(values[i], wanted[i]);
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

class AttentionBench {
 public:
  AttentionBench(Context& context, const RunConfig& config, DType dtype, int repeats)
      : context_(context), cpu_(Device::cpu), config_(config), dtype_(dtype), repeats_(repeats) {}

  std::vector<Measurement> run() {
    std::set<std::pair<int64_t, int64_t>> lengths;
    const FunnelConfig& model = config_.pretrain.model;
    for (const LayerRun& run : layer_runs(model, config_.data.seq_len, PositionScores::shifted)) {
      if (!lengths.insert({run.queries, run.keys}).second) continue;
      measure(run, kWhole);
      if (lengths.size() > 1) continue;
      measure(run, {", no dropout", false, true});
      measure(run, {", no segments", true, false});
    }
    return std::move(rows_);
  }

 private:
  AttentionSizes sizes(const LayerRun& run, const Variant& variant, int64_t batch) const {
    const FunnelConfig& model = config_.pretrain.model;
    return {.batch = batch,
            .queries = run.queries,
            .keys = run.keys,
            .shift = run.is_pooling && model.pool_query_only ? 2 : 1,
            .heads = model.heads,
            .head_width = model.head_width,
            .dropout = variant.dropout ? model.attention_dropout : 0.0,
            .segments = variant.segments};
  }

  void measure(const LayerRun& run, const Variant& variant) {
    const std::string name = concat(run.queries, " to ", run.keys, variant.name);
    for (const AttentionPath path : AttentionProblem::paths(context_, dtype_)) {
      Measurement forward = row(name, "forward", path), backward = row(name, "backward", path);
      check(run, variant, path, forward, backward);
      time(run, variant, path, forward, backward);
      rows_.push_back(forward);
      rows_.push_back(backward);
    }
  }

  Measurement row(const std::string& name, const char* part, AttentionPath path) const {
    return {.name = name,
            .part = part,
            .path = path == AttentionPath::chosen ? "chosen" : "materialised",
            .dtype = dtype_,
            .tolerance = dtype_ == DType::bf16 ? 2e-2 : 1e-5};
  }

  // A small batch on this device and on the CPU.
  void check(const LayerRun& run, const Variant& variant, AttentionPath path, Measurement& forward,
             Measurement& backward) {
    const AttentionSizes few = sizes(run, variant, kCheckedBatch);
    AttentionProblem here(context_, few, dtype_), there(cpu_, few, DType::f32);
    there.read_operands_of(here);
    for (AttentionProblem* problem : {&here, &there}) {
      problem->forward(path);
      problem->backward(path);
    }
    forward.error = largest_error(here, there, false);
    backward.error = largest_error(here, there, true);
  }

  // The whole batch, whose bits must repeat.
  void time(const LayerRun& run, const Variant& variant, AttentionPath path, Measurement& forward,
            Measurement& backward) {
    AttentionProblem whole(context_, sizes(run, variant, config_.train.shard_batch()), dtype_);
    uint64_t digests[2][2];
    for (auto& digest : digests) {
      whole.poison_outputs();
      whole.forward(path);
      digest[0] = whole.digest(false);
      whole.backward(path);
      digest[1] = whole.digest(true);
    }
    if (whole.has_nan(false)) forward.error = std::nan("");
    if (whole.has_nan(true)) backward.error = std::nan("");
    forward.bits_repeat = digests[0][0] == digests[1][0];
    backward.bits_repeat = digests[0][1] == digests[1][1];
    const auto batch = static_cast<double>(config_.train.shard_batch());
    const auto content = static_cast<double>(run.flops.content),
               position = static_cast<double>(run.flops.position);
    forward.flops = batch * (content + position);
    backward.flops = batch * (2.5 * content + 3 * position);
    forward.bytes = whole.bytes(false);
    backward.bytes = whole.bytes(true);
    if (forward.right()) {
      forward.milliseconds = median_ms(context_, repeats_, [&] { whole.forward(path); });
    }
    if (forward.right() && backward.right()) {
      backward.milliseconds = median_ms(context_, repeats_, [&] { whole.backward(path); });
    }
  }

  Context& context_;
  Context cpu_;
  const RunConfig& config_;
  DType dtype_;
  int repeats_;
  std::vector<Measurement> rows_;
};

}  // namespace

std::vector<Measurement> bench_attention(Context& context, const RunConfig& config, DType dtype,
                                         int repeats) {
  return AttentionBench(context, config, dtype, repeats).run();
}

}  // namespace funnel
