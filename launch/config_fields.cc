// SPDX-License-Identifier: Apache-2.0
#include "launch/config_fields.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "core/base/error.h"

namespace funnel::config_fields {

namespace {

// The enums of the schema and of the structs list the same values in the same order.
template <class To, class From>
To same_value(From value) {
  return static_cast<To>(static_cast<int>(value));
}

template <class A, class B>
constexpr bool equal(A a, B b) {
  return static_cast<int>(a) == static_cast<int>(b);
}

static_assert(equal(config::Model::MAX, Pooling::max));
static_assert(equal(config::Model::BY_DISTANCE, PositionDropout::by_distance));
static_assert(equal(config::Objective::ELECTRA, Objective::electra));
static_assert(equal(config::Objective::WHOLE_WORD, MaskingStrategy::whole_word));
static_assert(equal(config::Objective::WORD_SPAN, MaskingStrategy::word_span));
static_assert(equal(config::Optimizer::COSINE, RateDecay::cosine));
static_assert(equal(config::Optimizer::ONE_STEP, FirstStepRate::one_step));
static_assert(equal(config::Optimizer::NORMS_AND_BIASES, DecayExclusions::norms_and_biases));
static_assert(equal(config::Optimizer::USUAL, UpdateForm::usual));
static_assert(equal(config::Optimizer::NO_CORRECTION, UpdateForm::no_correction));
static_assert(equal(config::Optimizer::GLOBAL, ClipScope::global));
static_assert(equal(config::Optimizer::MEAN, GradientReduction::mean));
static_assert(equal(config::Run::BF16, Precision::bf16));

// "4" or "3x2".
BlockConfig parse_block(const char* field, const std::string& text) {
  BlockConfig block;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, block.layers);
  if (error == std::errc() && at != end && *at == 'x') {
    const auto repeats = std::from_chars(at + 1, end, block.repeats);
    at = repeats.ptr;
    error = repeats.ec;
  }
  FUNNEL_CHECK_INPUT(error == std::errc() && at == end, field,
                     ": expected layers such as \"4\", or layers x repeats such as \"3x2\", found "
                     "\"",
                     text, '"');
  return block;
}

// Values out of range are validate()'s to name; until then nothing derived from them overflows.
int64_t bounded(int64_t value) {
  return std::clamp<int64_t>(value, 0, int64_t{1} << 32);
}

FunnelConfig model_from(const config::Model& message) {
  FUNNEL_CHECK_INPUT(message.has_width(), "model.width: expected a value, found none");
  FUNNEL_CHECK_INPUT(message.blocks_size() > 0,
                     "model.blocks: expected at least one block such as \"4\" or \"3x2\", found "
                     "none");
  FunnelConfig model;
  if (message.has_vocab_size()) model.vocab = message.vocab_size();
  model.width = message.width();
  model.embedding_width = message.has_embedding_width() ? message.embedding_width() : model.width;
  model.head_width = message.head_width();
  model.heads = message.has_heads()
                    ? message.heads()
                    : std::max<int64_t>(1, model.width / std::max<int64_t>(1, model.head_width));
  model.inner = message.has_inner() ? message.inner() : 4 * bounded(model.width);
  model.blocks.clear();
  for (const std::string& block : message.blocks()) {
    model.blocks.push_back(parse_block("model.blocks", block));
  }
  model.decoder = message.has_decoder() ? parse_block("model.decoder", message.decoder())
                                        : BlockConfig{model.has_decoder() ? 2 : 0, 1};
  model.pooling = same_value<Pooling>(message.pooling());
  model.separate_cls = message.separate_cls();
  model.truncate_seq = message.truncate_seq();
  model.pool_query_only = message.pool_query_only();
  model.cls_mask_always = message.cls_mask_always();
  model.hidden_dropout = message.hidden_dropout();
  model.attention_dropout = message.attention_dropout();
  model.activation_dropout = message.activation_dropout();
  model.position_dropout = same_value<PositionDropout>(message.position_dropout());
  model.layer_norm_epsilon = message.layer_norm_epsilon();
  model.init_std = message.init_std();
  return model;
}

void model_to(const FunnelConfig& model, bool vocab_is_set, config::Model& message) {
  if (vocab_is_set) message.set_vocab_size(model.vocab);
  message.set_embedding_width(model.embedding_width);
  message.set_width(model.width);
  message.set_heads(model.heads);
  message.set_head_width(model.head_width);
  message.set_inner(model.inner);
  for (const BlockConfig& block : model.blocks) message.add_blocks(block_text(block));
  message.set_decoder(block_text(model.decoder));
  message.set_pooling(same_value<config::Model::Pooling>(model.pooling));
  message.set_separate_cls(model.separate_cls);
  message.set_truncate_seq(model.truncate_seq);
  message.set_pool_query_only(model.pool_query_only);
  message.set_cls_mask_always(model.cls_mask_always);
  message.set_hidden_dropout(model.hidden_dropout);
  message.set_attention_dropout(model.attention_dropout);
  message.set_activation_dropout(model.activation_dropout);
  message.set_position_dropout(same_value<config::Model::PositionDropout>(model.position_dropout));
  message.set_layer_norm_epsilon(model.layer_norm_epsilon);
  message.set_init_std(model.init_std);
}

OptimizerConfig optimizer_from(const config::Optimizer& message) {
  return {
      .learning_rate = message.learning_rate(),
      .warmup_steps = message.warmup_steps(),
      .decay = same_value<RateDecay>(message.decay()),
      .min_learning_rate_ratio = message.min_learning_rate_ratio(),
      .first_step_rate = same_value<FirstStepRate>(message.first_step_rate()),
      .beta1 = message.beta1(),
      .beta2 = message.beta2(),
      .epsilon = message.epsilon(),
      .update_form = same_value<UpdateForm>(message.update_form()),
      .weight_decay = message.weight_decay(),
      .decay_exclusions = same_value<DecayExclusions>(message.decay_exclusions()),
      .clip_norm = message.clip_norm(),
      .clip_scope = same_value<ClipScope>(message.clip_scope()),
      .gradient_reduction = same_value<GradientReduction>(message.gradient_reduction()),
  };
}

void optimizer_to(const OptimizerConfig& optimizer, config::Optimizer& message) {
  using Message = config::Optimizer;
  message.set_learning_rate(optimizer.learning_rate);
  message.set_warmup_steps(optimizer.warmup_steps);
  message.set_decay(same_value<Message::Decay>(optimizer.decay));
  message.set_min_learning_rate_ratio(optimizer.min_learning_rate_ratio);
  message.set_first_step_rate(same_value<Message::FirstStepRate>(optimizer.first_step_rate));
  message.set_beta1(optimizer.beta1);
  message.set_beta2(optimizer.beta2);
  message.set_epsilon(optimizer.epsilon);
  message.set_update_form(same_value<Message::UpdateForm>(optimizer.update_form));
  message.set_weight_decay(optimizer.weight_decay);
  message.set_decay_exclusions(same_value<Message::DecayExclusions>(optimizer.decay_exclusions));
  message.set_clip_norm(optimizer.clip_norm);
  message.set_clip_scope(same_value<Message::ClipScope>(optimizer.clip_scope));
  message.set_gradient_reduction(
      same_value<Message::GradientReduction>(optimizer.gradient_reduction));
}

void objective_from(const config::Objective& message, RunConfig& run) {
  PretrainConfig& pretrain = run.pretrain;
  pretrain.objective = same_value<Objective>(message.kind());
  pretrain.hide_mask_tokens = message.hide_mask_tokens();
  pretrain.generator_width_ratio = message.generator_width_ratio();
  pretrain.discriminator_weight = message.discriminator_weight();
  pretrain.label_one_is_original = message.label_one_is_original();
  run.corruption.predictions = message.has_predictions()
                                   ? message.predictions()
                                   : std::max<int64_t>(1, bounded(run.data.seq_len) * 85 / 512);
  run.corruption.strategy = same_value<MaskingStrategy>(message.masking());
  run.corruption.min_span = message.min_span();
  run.corruption.max_span = message.max_span();
  run.corruption.leak_ratio = message.leak_ratio();
  run.corruption.random_ratio = message.rand_ratio();
}

void objective_to(const RunConfig& run, config::Objective& message) {
  message.set_kind(same_value<config::Objective::Kind>(run.pretrain.objective));
  message.set_predictions(run.corruption.predictions);
  message.set_masking(same_value<config::Objective::Masking>(run.corruption.strategy));
  message.set_min_span(run.corruption.min_span);
  message.set_max_span(run.corruption.max_span);
  message.set_leak_ratio(run.corruption.leak_ratio);
  message.set_rand_ratio(run.corruption.random_ratio);
  message.set_hide_mask_tokens(run.pretrain.hide_mask_tokens);
  message.set_generator_width_ratio(run.pretrain.generator_width_ratio);
  message.set_discriminator_weight(run.pretrain.discriminator_weight);
  message.set_label_one_is_original(run.pretrain.label_one_is_original);
}

TrainConfig train_from(const config::Train& message) {
  return {
      .steps = message.steps(),
      .global_batch = message.global_batch(),
      .logical_shards = message.logical_shards(),
      .seed = message.seed(),
      .eval_every_steps = message.eval_every_steps(),
      .eval_batches = message.eval_batches(),
      .save_every_steps = message.save_every_steps(),
      .keep_checkpoints = message.keep_checkpoints(),
      .log_every_steps = message.log_every_steps(),
      .max_nonfinite_steps = message.max_nonfinite_steps(),
      .peer_timeout_seconds = message.peer_timeout_seconds(),
  };
}

void train_to(const TrainConfig& train, config::Train& message) {
  message.set_steps(train.steps);
  message.set_global_batch(train.global_batch);
  message.set_logical_shards(train.logical_shards);
  message.set_seed(train.seed);
  message.set_eval_every_steps(train.eval_every_steps);
  message.set_eval_batches(train.eval_batches);
  message.set_save_every_steps(train.save_every_steps);
  message.set_keep_checkpoints(train.keep_checkpoints);
  message.set_log_every_steps(train.log_every_steps);
  message.set_max_nonfinite_steps(train.max_nonfinite_steps);
  message.set_peer_timeout_seconds(train.peer_timeout_seconds);
}

DeviceChoice device_from(config::Run::Device device) {
  switch (device) {
    case config::Run::AUTO:
      return DeviceChoice::fastest;
    case config::Run::CPU:
      return DeviceChoice::cpu;
    case config::Run::CUDA:
      return DeviceChoice::cuda;
  }
  return DeviceChoice::fastest;
}

config::Run::Device device_to(DeviceChoice device) {
  switch (device) {
    case DeviceChoice::fastest:
      return config::Run::AUTO;
    case DeviceChoice::cpu:
      return config::Run::CPU;
    case DeviceChoice::cuda:
      return config::Run::CUDA;
  }
  return config::Run::AUTO;
}

}  // namespace

RunConfig from_message(const config::Run& message) {
  RunConfig run;
  run.pretrain.model = model_from(message.model());
  run.vocab_is_set = message.model().has_vocab_size();
  run.data = {.seq_len = message.data().seq_len(),
              .cached_order = message.data().cached_order(),
              .prefetch_batches = message.data().prefetch_batches(),
              .num_readers = message.data().num_readers(),
              .weights = {message.data().weights().begin(), message.data().weights().end()},
              .log_samples = message.data().log_samples()};
  objective_from(message.objective(), run);
  run.optimizer = optimizer_from(message.optimizer());
  run.train = train_from(message.train());
  run.device = device_from(message.device());
  run.precision = same_value<Precision>(message.precision());
  return run;
}

config::Run to_message(const RunConfig& run) {
  config::Run message;
  model_to(run.pretrain.model, run.vocab_is_set, *message.mutable_model());
  objective_to(run, *message.mutable_objective());
  config::Data& data = *message.mutable_data();
  data.set_seq_len(run.data.seq_len);
  data.set_cached_order(run.data.cached_order);
  data.set_prefetch_batches(run.data.prefetch_batches);
  data.set_num_readers(run.data.num_readers);
  for (const double weight : run.data.weights) data.add_weights(weight);
  data.set_log_samples(run.data.log_samples);
  optimizer_to(run.optimizer, *message.mutable_optimizer());
  train_to(run.train, *message.mutable_train());
  message.set_device(device_to(run.device));
  message.set_precision(same_value<config::Run::Precision>(run.precision));
  return message;
}

}  // namespace funnel::config_fields
