// SPDX-License-Identifier: Apache-2.0
// The configuration of a run: text at the edge, plain structs within. Files in the text format of
// configs/schema.proto (the manual of every field) are merged, overridden from the command line,
// completed with defaults and checked; nothing behind this header knows protobuf.
//
// Every function throws an input error (exit code 2) that names the file with line and column, or
// the field, and states what was expected and what was found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/model/model_config.h"
#include "core/optim/optimizer_config.h"
#include "data/masking.h"

namespace funnel {

// How the input of the network (MLM) or of the generator (ELECTRA) is corrupted.
struct CorruptionConfig {
  int64_t predictions = 85;                                  // positions predicted in each sequence
  MaskingStrategy strategy = MaskingStrategy::single_token;  // how they are chosen
  int64_t min_span = 1;  // tokens or words of a span, of the strategies with spans
  int64_t max_span = 5;
  double leak_ratio = 0.1;    // of them, the share that keeps its token
  double random_ratio = 0.1;  // of them, the share that becomes a random token; the rest is <mask>
};

struct DataConfig {
  int64_t seq_len = 512;
  bool cached_order = true;  // every epoch repeats the order of the first
  int64_t prefetch_batches = 4;
  int64_t num_readers = 2;
  std::vector<double> weights;  // of the data sets; empty: all the same
  bool log_samples = false;
};

struct TrainConfig {
  int64_t steps = 1000000;
  int64_t global_batch = 256;  // sequences in a step, over all ranks
  int64_t logical_shards = 8;  // a power of two that divides global_batch
  uint64_t seed = 1;
  int64_t eval_every_steps = 1000;  // 0: only at the end
  int64_t eval_batches = 8;         // global batches in an evaluation; 0: none
  int64_t save_every_steps = 1000;  // 0: only at the end and on request
  int64_t keep_checkpoints = 3;
  int64_t log_every_steps = 10;
  int64_t max_nonfinite_steps = 10;    // skipped in a row before the run ends with exit code 93
  int64_t peer_timeout_seconds = 600;  // of silence in NCCL before the run ends

  int64_t shard_batch() const { return global_batch / logical_shards; }
};

enum class DeviceChoice { fastest, cpu, cuda };
enum class Precision { automatic, fp32, bf16 };

struct RunConfig {
  PretrainConfig pretrain;
  bool vocab_is_set = false;  // otherwise pretrain.model.vocab awaits set_vocabulary()
  CorruptionConfig corruption;
  DataConfig data;
  OptimizerConfig optimizer;
  TrainConfig train;
  DeviceChoice device = DeviceChoice::fastest;
  Precision precision = Precision::automatic;
};

// What a run stores activations and the weights that layers read as, on a device: f32 or bf16.
DType storage_dtype(Precision precision, Device device);

// Reads the files, later ones over earlier ones, then applies the overrides "path=value" in order.
// In both, repeated fields are replaced as a whole. Derived defaults are filled in last. The result
// has been validated.
RunConfig load_config(std::span<const std::filesystem::path> files,
                      std::span<const std::string> overrides = {});

// The same from one text; `name` stands for the file in messages.
RunConfig parse_config(const std::string& text, const std::string& name);

// Throws unless every field is in range and the fields go together.
void validate(const RunConfig& config);

// Takes the vocabulary's size from the data, or checks the configured one against it. `source`
// names the data in the message.
void set_vocabulary(RunConfig& config, int64_t vocab, const std::string& source);

// Every field with its value, in the text format: load_config() of it gives the same configuration.
// vocab_size is left out while it is not known.
std::string resolved_text(const RunConfig& config);

// The fields in which two configurations differ: "train.steps: 1000 there, 2000 here" with `there`
// the first of them.
std::vector<std::string> differences(const RunConfig& there, const RunConfig& here);

}  // namespace funnel
