// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/layer_bench.h"

#include <functional>

#include "core/backend/stopwatch.h"
#include "core/layers/embedding.h"
#include "core/layers/heads.h"
#include "core/layers/transformer_layer.h"
#include "core/model/attention_plans.h"
#include "core/model/funnel_encoder.h"
#include "core/model/model_cost.h"
#include "core/model/pretrain_task.h"
#include "core/ops/clip.h"
#include "core/ops/embedding.h"
#include "core/optim/adamw.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/synthetic_batch.h"

namespace funnel {
namespace {

using Work = std::function<void()>;

class LayerBench {
 public:
  LayerBench(Context& context, const RunConfig& config, int repeats)
      : config_(config),
        repeats_(repeats),
        dtype_(storage_dtype(config.precision, context.device())),
        context_(context),
        saved_(context.device()),
        batch_memory_(context.device()),
        batch_(config),
        shard_(upload_.to_device(context, batch_memory_, batch_.batch(),
                                 config.pretrain.model.vocab)) {}

  std::vector<BenchRow> run() {
    const PretrainConfig& pretrain = config_.pretrain;
    const bool electra = pretrain.objective == Objective::electra;
    network("", pretrain.model);
    if (electra) network("generator ", generator_config(pretrain));
    embedding(electra ? 2 : 1);
    mlm_head(electra ? generator_config(pretrain) : pretrain.model, electra);
    if (electra) discriminator_head(pretrain.model);
    optimizer();
    return std::move(rows_);
  }

 private:
  // Times forward and backward in turn; the first, which allocates and prepares, does not count.
  void time(const std::string& name, int64_t calls, double flops, const Work& forward,
            const Work& backward) {
    std::vector<double> forward_ms, backward_ms;
    Stopwatch watch(context_);
    for (int i = 0; i <= repeats_; ++i) {
      saved_.reset();
      watch.mark();
      forward();
      watch.mark();
      backward();
      watch.mark();
      const std::vector<double> laps = watch.laps();
      if (i == 0) continue;
      forward_ms.push_back(laps[0]);
      backward_ms.push_back(laps[1]);
    }
    rows_.push_back({name, calls, flops, median(forward_ms), median(backward_ms)});
  }

  Step step() { return {.context = context_, .saved = saved_, .seed = 1, .training = true}; }

  void initialise(Params& params) {
    params.allocate(context_);
    params.initialise(context_, 1, 0.02);
  }

  Tensor random(Arena& arena, Shape shape) {
    const Tensor tensor = arena.tensor(shape, dtype_);
    const RandomPool numbers(context_, dtype_, tensor.elements());
    context_.copy(numbers.all().reshaped(shape), tensor);
    context_.synchronize();
    return tensor;
  }

  void network(const std::string& prefix, const FunnelConfig& config) {
    Params params(dtype_);
    const TransformerLayer layer(params, "layer", layer_sizes(config));
    initialise(params);
    PositionTables tables(dtype_, config.width);
    Arena kept(context_.device());
    Step planning{.context = context_, .saved = kept, .seed = 1, .training = true};
    const SequenceInputs inputs{shard_.batch(), shard_.seq(), shard_.segments, {}};
    const std::vector<BlockPlan> plans =
        plan_blocks(planning, Site("bench"), config, tables, inputs);
    for (const LayerRun& run : layer_runs(config, shard_.seq(), PositionScores::shifted)) {
      const BlockPlan& plan = plans[run.is_decoder ? 0 : run.block];
      const bool keys_differ = run.is_pooling && config.pool_query_only;
      const std::string name =
          run.is_decoder ? "decoder layer"
                         : concat("block ", run.block, run.is_pooling ? " pooling" : "", " layer");
      layer_rows(prefix + name, run, config, layer, keys_differ ? plan.pool : plan.self);
    }
  }

  void layer_rows(const std::string& name, const LayerRun& run, const FunnelConfig& config,
                  const TransformerLayer& layer, const AttentionPlan& plan) {
    Arena kept(context_.device());
    const bool self = plan.q_len == plan.k_len;
    const Tensor x_k = random(kept, {plan.k_rows(), config.width});
    const Tensor x_q = self ? x_k : random(kept, {plan.q_rows(), config.width});
    const Tensor y = random(kept, x_q.shape()), d = random(kept, x_q.shape());
    const Tensor dx_k = self ? Tensor() : random(kept, x_k.shape());
    TransformerLayer::Saved saved;
    Step pass = step();
    const double flops = 3.0 * static_cast<double>(run.flops.total() * shard_.batch());
    time(
        name, run.applications, flops,
        [&] { layer.forward(pass, Site("bench"), plan, x_q, x_k, y, saved); },
        [&] { layer.backward(pass, Site("bench"), plan, saved, y, d, {.dx = dx_k}); });
  }

  void embedding(int64_t calls) {
    const FunnelConfig& model = config_.pretrain.model;
    Params params(dtype_);
    const Embedding embedding(params, "embedding", model.vocab, model.embedding_width, 1e-8,
                              model.hidden_dropout);
    initialise(params);
    Arena kept(context_.device());
    const Tensor y = random(kept, {shard_.input_ids.elements(), model.embedding_width});
    Embedding::Saved saved;
    Step pass = step();
    time(
        "embedding", calls, 0,
        [&] { embedding.forward(pass, Site("bench"), shard_.input_ids, y, saved); },
        [&] { embedding.backward(pass, Site("bench"), saved, y); });
  }

  void mlm_head(const FunnelConfig& config, bool samples) {
    const int64_t n = shard_.positions.elements();
    Params params(dtype_);
    const Param& table =
        params.add("table", {config.vocab, config.embedding_width}, ParamKind::weight);
    const MlmHead head(params, "head", config.width, table, 1e-8);
    initialise(params);
    Arena kept(context_.device());
    const Tensor hidden = random(kept, {shard_.input_ids.elements(), config.width});
    const Tensor dhidden = random(kept, hidden.shape());
    const Tensor rows = kept.tensor({n}, DType::i32), drawn = kept.tensor({n}, DType::i32);
    const Tensor loss = kept.tensor({n}, compute_dtype(dtype_));
    const Tensor correct = kept.tensor({n}, DType::u8);
    const ConstTensor targets = shard_.targets.reshaped({n});
    flatten_positions(context_, shard_.positions, shard_.seq(), rows);
    MlmHead::Saved saved;
    Step pass = step();
    const double flops = 6.0 * static_cast<double>(n * config.embedding_width) *
                         static_cast<double>(config.vocab + config.width);
    time(
        samples ? "MLM head, loss, sampling" : "MLM head, loss", 1, flops,
        [&] {
          head.forward(pass, hidden, rows, saved);
          head.predict(pass,
                       {.targets = targets,
                        .loss = loss,
                        .correct = correct,
                        .samples = samples ? drawn : Tensor()},
                       saved);
        },
        [&] { head.backward(pass, saved, dhidden); });
  }

  void discriminator_head(const FunnelConfig& config) {
    const int64_t n = shard_.input_ids.elements();
    Params params(dtype_);
    const DiscriminatorHead head(params, "head", config.width);
    initialise(params);
    Arena kept(context_.device());
    const Tensor x = random(kept, {n, config.width}), dx = random(kept, {n, config.width});
    const Tensor loss = kept.tensor({n}, compute_dtype(dtype_));
    const Tensor correct = kept.tensor({n}, DType::u8);
    const DiscriminatorHead::Judgement judgement{.labels = shard_.padded.reshaped({n}),
                                                 .hidden = shard_.padded.reshaped({n}),
                                                 .loss = loss,
                                                 .correct = correct};
    DiscriminatorHead::Saved saved;
    Step pass = step();
    const double flops = 6.0 * static_cast<double>(n * config.width * (config.width + 1));
    time(
        "discriminator head, loss", 1, flops, [&] { head.forward(pass, x, judgement, saved); },
        [&] { head.backward(pass, saved, dx); });
  }

  // Under "forward" what is paid for each shard (clearing and measuring gradients), under
  // "backward" the update.
  void optimizer() {
    Params params(dtype_);
    const PretrainTask task(params, config_.pretrain);
    initialise(params);
    const int64_t n = params.flat_elements();
    Arena kept(context_.device());
    const Tensor m = kept.tensor({n}, params.values().dtype());
    const Tensor v = kept.tensor({n}, params.values().dtype());
    const Tensor norm = kept.tensor({1}, DType::f64);
    context_.fill_zero(m);
    context_.fill_zero(v);
    const UpdateTable table(context_, std::vector<DecayRun>{{0, n, true}}, 0, n);
    time(
        "gradient norm | AdamW", 1, 0,
        [&] {
          context_.fill_zero(params.grads());
          gradient_norm(context_, params.grads(), 1.0, norm);
        },
        [&] {
          adamw_step(context_, config_.optimizer,
                     {.values = params.values(),
                      .moment1 = m,
                      .moment2 = v,
                      .rounded = params.rounded_values(),
                      .grads = params.grads(),
                      .table = table,
                      .step = 1,
                      .learning_rate = 1e-4});
        });
  }

  const RunConfig& config_;
  int repeats_;
  DType dtype_;  // of activations and of the weights that layers read
  Context& context_;
  Arena saved_, batch_memory_;
  SyntheticBatch batch_;
  BatchUpload upload_;
  const PretrainBatch shard_;
  std::vector<BenchRow> rows_;
};

}  // namespace

std::vector<BenchRow> bench_layers(Context& context, const RunConfig& config, int repeats) {
  return LayerBench(context, config, repeats).run();
}

}  // namespace funnel
