// SPDX-License-Identifier: Apache-2.0
#include "launch/config.h"

#include <google/protobuf/text_format.h>

#include <bit>
#include <cmath>

#include "core/base/error.h"
#include "launch/config_fields.h"
#include "launch/config_text.h"

namespace funnel {

namespace {

// Bounds that keep products such as steps * global_batch * seq_len inside 64 bits.
constexpr int64_t kMostSteps = int64_t{1} << 31;
constexpr int64_t kLargestBatch = int64_t{1} << 20;
constexpr int64_t kLongestSequence = int64_t{1} << 16;
constexpr int64_t kLongestSpan = 1024;

void check_range(const char* field, int64_t value, int64_t low, int64_t high) {
  FUNNEL_CHECK_INPUT(value >= low && value <= high, field, ": expected a number from ", low, " to ",
                     high, ", found ", value);
}

void check_at_least_zero(const char* field, double value) {
  FUNNEL_CHECK_INPUT(std::isfinite(value) && value >= 0, field,
                     ": expected a number of at least 0, found ", value);
}

void check_share(const char* field, double value) {
  FUNNEL_CHECK_INPUT(value >= 0 && value <= 1, field, ": expected a number from 0 to 1, found ",
                     value);
}

void check_below_one(const char* field, double value) {
  FUNNEL_CHECK_INPUT(value >= 0 && value < 1, field,
                     ": expected a number from 0 to below 1, found ", value);
}

// Tokens of a sequence that may be predicted: not CLS, the two SEP, nor what truncation takes.
int64_t predictable_tokens(const FunnelConfig& model, int64_t seq_len) {
  const int64_t stride = int64_t{1} << (model.blocks.size() - 1);
  const bool is_truncated = model.separate_cls && model.truncate_seq && stride > 1;
  return is_truncated ? seq_len - stride - 2 : seq_len - 3;
}

void validate_sequence(const RunConfig& config) {
  const FunnelConfig& model = config.pretrain.model;
  const int64_t seq_len = config.data.seq_len;
  check_range("data.seq_len", seq_len, 4, kLongestSequence);
  const std::vector<int64_t> lengths = block_lengths(model, seq_len);
  for (size_t b = 0; b < lengths.size(); ++b) {
    FUNNEL_CHECK_INPUT(lengths[b] >= 2,
                       "data.seq_len: expected enough positions for every block to keep 2, found ",
                       seq_len, ", which leaves block ", b + 1, " of ", lengths.size(), " with ",
                       lengths[b]);
  }
  const int64_t tokens = predictable_tokens(model, seq_len);
  FUNNEL_CHECK_INPUT(config.corruption.predictions >= 1 && config.corruption.predictions <= tokens,
                     "objective.predictions: expected a number from 1 to ", tokens,
                     ", the tokens that data.seq_len ", seq_len,
                     " leaves beside special tokens and truncation; found ",
                     config.corruption.predictions);
}

void validate_corruption(const CorruptionConfig& corruption) {
  check_share("objective.leak_ratio", corruption.leak_ratio);
  check_share("objective.rand_ratio", corruption.random_ratio);
  check_range("objective.min_span", corruption.min_span, 1, kLongestSpan);
  check_range("objective.max_span", corruption.max_span, corruption.min_span, kLongestSpan);
  FUNNEL_CHECK_INPUT(corruption.leak_ratio + corruption.random_ratio <= 1,
                     "objective.leak_ratio + objective.rand_ratio: expected at most 1, found ",
                     corruption.leak_ratio + corruption.random_ratio);
}

void validate_data(const DataConfig& data) {
  check_range("data.prefetch_batches", data.prefetch_batches, 1, 1024);
  check_range("data.num_readers", data.num_readers, 1, 64);
  for (const double weight : data.weights) {
    FUNNEL_CHECK_INPUT(weight > 0 && weight < 1e9,
                       "data.weights: expected numbers above 0 and below 1e9, found ", weight);
  }
}

void validate_optimizer(const OptimizerConfig& optimizer, int64_t steps) {
  check_at_least_zero("optimizer.learning_rate", optimizer.learning_rate);
  FUNNEL_CHECK_INPUT(optimizer.warmup_steps >= 0 && optimizer.warmup_steps <= steps,
                     "optimizer.warmup_steps: expected a number from 0 to train.steps, ", steps,
                     "; found ", optimizer.warmup_steps);
  check_share("optimizer.min_learning_rate_ratio", optimizer.min_learning_rate_ratio);
  check_below_one("optimizer.beta1", optimizer.beta1);
  check_below_one("optimizer.beta2", optimizer.beta2);
  FUNNEL_CHECK_INPUT(std::isfinite(optimizer.epsilon) && optimizer.epsilon > 0,
                     "optimizer.epsilon: expected a number above 0, found ", optimizer.epsilon);
  check_at_least_zero("optimizer.weight_decay", optimizer.weight_decay);
  check_at_least_zero("optimizer.clip_norm", optimizer.clip_norm);
}

void validate_train(const TrainConfig& train) {
  check_range("train.steps", train.steps, 1, kMostSteps);
  check_range("train.global_batch", train.global_batch, 1, kLargestBatch);
  FUNNEL_CHECK_INPUT(
      train.logical_shards >= 1 && std::has_single_bit(static_cast<uint64_t>(train.logical_shards)),
      "train.logical_shards: expected a power of two, found ", train.logical_shards);
  FUNNEL_CHECK_INPUT(train.global_batch % train.logical_shards == 0,
                     "train.global_batch: expected a multiple of train.logical_shards, ",
                     train.logical_shards, "; found ", train.global_batch);
  check_range("train.eval_every_steps", train.eval_every_steps, 0, kMostSteps);
  check_range("train.eval_batches", train.eval_batches, 0, kMostSteps);
  check_range("train.save_every_steps", train.save_every_steps, 0, kMostSteps);
  check_range("train.keep_checkpoints", train.keep_checkpoints, 2, kMostSteps);
  check_range("train.log_every_steps", train.log_every_steps, 1, kMostSteps);
  check_range("train.max_nonfinite_steps", train.max_nonfinite_steps, 1, kMostSteps);
  check_range("train.peer_timeout_seconds", train.peer_timeout_seconds, 1, 1000000);
}

// The checked structs of a message that came from `source`.
RunConfig finished(const config::Run& message, const std::string& source) {
  try {
    RunConfig config = config_fields::from_message(message);
    validate(config);
    return config;
  } catch (const Error& error) {
    throw Error(source + ": " + error.what(), error.exit_code());
  }
}

}  // namespace

RunConfig load_config(std::span<const std::filesystem::path> files,
                      std::span<const std::string> overrides) {
  config::Run message;
  std::string source = files.empty() ? "configuration without a file" : "";
  for (const std::filesystem::path& file : files) {
    config_text::merge_file(file, message);
    source += (source.empty() ? "" : " with ") + file.string();
  }
  for (const std::string& assignment : overrides) {
    config_text::apply_override(assignment, message);
  }
  if (!overrides.empty()) source += " with --set";
  return finished(message, source);
}

RunConfig parse_config(const std::string& text, const std::string& name) {
  config::Run message;
  config_text::merge_text(text, name, message);
  return finished(message, name);
}

void validate(const RunConfig& config) {
  validate(config.pretrain);
  validate_sequence(config);
  validate_corruption(config.corruption);
  validate_data(config.data);
  validate_train(config.train);
  validate_optimizer(config.optimizer, config.train.steps);
}

DType storage_dtype(Precision precision, Device device) {
  if (precision == Precision::automatic) {
    return device == Device::cuda ? DType::bf16 : DType::f32;
  }
  return precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

void set_vocabulary(RunConfig& config, int64_t vocab, const std::string& source) {
  FUNNEL_CHECK_INPUT(!config.vocab_is_set || config.pretrain.model.vocab == vocab,
                     "model.vocab_size: expected ", vocab, ", the size of the vocabulary of ",
                     source, "; found ", config.pretrain.model.vocab);
  config.pretrain.model.vocab = vocab;
  config.vocab_is_set = true;
  validate(config.pretrain);
}

std::string resolved_text(const RunConfig& config) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(config_fields::to_message(config), &text);
  return "# proto-file: configs/schema.proto\n# proto-message: funnel.config.Run\n\n" + text;
}

std::vector<std::string> differences(const RunConfig& there, const RunConfig& here) {
  const auto there_fields = config_text::list_fields(config_fields::to_message(there));
  const auto here_fields = config_text::list_fields(config_fields::to_message(here));
  std::vector<std::string> lines;
  for (size_t i = 0; i < here_fields.size(); ++i) {
    const auto& [path, here_value] = here_fields[i];
    const std::string& there_value = there_fields[i].second;
    if (there_value == here_value) continue;
    lines.push_back(concat(path, ": ", there_value, " there, ", here_value, " here"));
  }
  return lines;
}

}  // namespace funnel
