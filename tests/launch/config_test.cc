// SPDX-License-Identifier: Apache-2.0
// Oracles: the paper's layouts and counts (tests/model/paper_models.h); its training settings;
// every rule of the text format and of validate() broken once, with the words a user needs to mend
// it.
#include "launch/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/model_cost.h"
#include "tests/model/paper_models.h"

namespace funnel {
namespace {

using Path = std::filesystem::path;
using Strings = std::vector<std::string>;

const Path kConfigs = FUNNEL_CONFIGS_DIR;
const char* const kSmall = "model { width: 64 heads: 4 blocks: '1' blocks: '2x3' }";

std::string input_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

RunConfig with_overrides(const Strings& overrides) {
  const std::vector<Path> files{kConfigs / "tiny.textproto"};
  return load_config(files, overrides);
}

std::string override_error(const std::string& assignment) {
  return input_error([&] { with_overrides({assignment}); });
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "expected \"" << part << "\" in: " << text;
}

// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() / concat("funnel-config-test-", getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }

 private:
  Path path_;
};

TEST(Config, EveryPaperModelHasAFile) {
  for (const auto& model : testing::paper_models()) {
    SCOPED_TRACE(model.name);
    const std::vector<Path> files{kConfigs / ("electra-" + model.name + ".textproto")};
    RunConfig config = load_config(files);
    EXPECT_FALSE(config.vocab_is_set);
    set_vocabulary(config, 30522, "the released models");
    const FunnelConfig& network = config.pretrain.model;
    EXPECT_EQ(config.pretrain.objective, Objective::electra);
    EXPECT_EQ(layout_name(network), model.name);
    EXPECT_EQ(network.blocks, model.blocks);
    EXPECT_EQ(network.head_width, 64);
    EXPECT_EQ(network.heads * 64, network.width);
    EXPECT_EQ(count_parameters(network).encoder(), model.encoder);
    EXPECT_EQ(count_parameters(network).network(), model.network);
    EXPECT_EQ(count_parameters(config.pretrain).total(), model.electra);

    const FunnelConfig generator = generator_config(config.pretrain);
    EXPECT_EQ(generator.width, model.width == 768 ? 192 : 256);
    EXPECT_EQ(generator.inner, model.width == 768 ? 768 : 1024);
    EXPECT_EQ(generator.heads, model.width == 768 ? 3 : 4);

    const bool is_large = model.width == 1024;
    EXPECT_EQ(config.data.seq_len, 512);
    EXPECT_EQ(config.corruption.predictions, 85);
    EXPECT_EQ(config.train.global_batch, is_large ? 8192 : 256);
    EXPECT_EQ(config.train.steps, is_large ? 500000 : 1000000);
    EXPECT_EQ(config.optimizer.learning_rate, is_large ? 2e-4 : 1e-4);
    EXPECT_EQ(config.optimizer.warmup_steps, is_large ? 30000 : 10000);
    EXPECT_EQ(config.optimizer.weight_decay, 0);

    const RunConfig mlm = load_config(files, Strings{"objective.kind=MLM"});
    EXPECT_EQ(count_parameters(mlm.pretrain).total(), model.mlm);
  }
}

TEST(Config, EveryFileIsValidAndSurvivesARoundTrip) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs)) {
    if (entry.path().extension() != ".textproto") continue;
    SCOPED_TRACE(entry.path().string());
    ++files;
    RunConfig config = load_config(std::vector<Path>{entry.path()});
    EXPECT_EQ(resolved_text(parse_config(resolved_text(config), "resolved")),
              resolved_text(config));
    set_vocabulary(config, 8192, "a data set");
    const RunConfig again = parse_config(resolved_text(config), "resolved");
    EXPECT_TRUE(again.vocab_is_set);
    EXPECT_EQ(resolved_text(again), resolved_text(config));
    EXPECT_TRUE(differences(config, again).empty());
    std::ifstream in(entry.path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    expect_contains(text, "# proto-file: configs/schema.proto\n");
    expect_contains(text, "# proto-message: funnel.config.Run\n");
  }
  EXPECT_GE(files, 11);
}

// The defaults written in the schema and in the structs are the same.
TEST(Config, DefaultsOfSchemaAndStructsAgree) {
  const RunConfig read =
      parse_config("model { width: 768 blocks: '4' blocks: '4' blocks: '4' }", "text");
  EXPECT_EQ(differences(RunConfig{}, read), Strings{});
}

// The defaults are those of the original TensorFlow code.
TEST(Config, DefaultsFollowTheOriginal) {
  const RunConfig config = parse_config(kSmall, "text");
  EXPECT_EQ(config.optimizer.beta2, 0.99);
  EXPECT_EQ(config.optimizer.epsilon, 1e-6);
  EXPECT_EQ(config.optimizer.update_form, UpdateForm::reference);
  EXPECT_EQ(config.optimizer.clip_scope, ClipScope::per_shard);
  EXPECT_EQ(config.optimizer.gradient_reduction, GradientReduction::sum);
  EXPECT_EQ(config.optimizer.first_step_rate, FirstStepRate::zero);
  EXPECT_EQ(config.optimizer.decay_exclusions, DecayExclusions::none);
  EXPECT_EQ(config.pretrain.model.layer_norm_epsilon, 1e-8);
  EXPECT_EQ(config.pretrain.model.hidden_dropout, 0.1);
  EXPECT_EQ(config.pretrain.model.activation_dropout, 0.0);
  EXPECT_EQ(config.pretrain.discriminator_weight, 50);
  EXPECT_TRUE(config.pretrain.model.cls_mask_always);
  EXPECT_TRUE(config.pretrain.hide_mask_tokens);
  EXPECT_TRUE(config.pretrain.label_one_is_original);
  EXPECT_TRUE(config.data.cached_order);
}

TEST(Config, DerivedDefaults) {
  const RunConfig config = parse_config(
      "model { width: 192 blocks: '1' blocks: '2x3' } data { seq_len: 128 }"
      "objective { kind: MLM }",
      "text");
  const FunnelConfig& model = config.pretrain.model;
  EXPECT_EQ(model.heads, 3);
  EXPECT_EQ(model.inner, 768);
  EXPECT_EQ(model.embedding_width, 192);
  EXPECT_EQ(model.blocks, (std::vector<BlockConfig>{{1, 1}, {2, 3}}));
  EXPECT_EQ(model.decoder, (BlockConfig{2, 1}));
  EXPECT_EQ(config.corruption.predictions, 21);
  EXPECT_EQ(parse_config("model { width: 256 blocks: '3' }", "text").pretrain.model.decoder.layers,
            0);
}

TEST(Config, ResolvedTextHasEveryField) {
  RunConfig config = parse_config(kSmall, "text");
  set_vocabulary(config, 100, "a data set");
  config.data.weights = {3, 1};  // empty unless there are several data sets
  const std::string text = resolved_text(config);
  EXPECT_EQ(parse_config(text, "text").data.weights, config.data.weights);
  // The names in the schema, found without its parser.
  std::ifstream in(kConfigs / "schema.proto");
  int fields = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find(" = ");
    const bool is_field = line.rfind("  optional ", 0) == 0 || line.rfind("  repeated ", 0) == 0;
    if (!is_field || equals == std::string::npos) continue;
    const size_t begin = line.rfind(' ', equals - 1) + 1;
    const std::string name = line.substr(begin, equals - begin);
    const bool is_there =
        text.find(name + ": ") != std::string::npos || text.find(name + " {") != std::string::npos;
    EXPECT_TRUE(is_there) << name;
    ++fields;
  }
  EXPECT_GT(fields, 50);
}

TEST(Config, LaterFilesWinAndReplaceRepeatedFields) {
  const TemporaryFolder folder;
  const std::vector<Path> files{
      folder.write("first.textproto",
                   "model { width: 64 heads: 4 blocks: '1' blocks: '1' }"
                   "train { steps: 5 seed: 7 } optimizer { warmup_steps: 0 }"),
      folder.write("second.textproto", "model { blocks: '3' } train { steps: 6 }")};
  const RunConfig config = load_config(files);
  EXPECT_EQ(config.pretrain.model.blocks, (std::vector<BlockConfig>{{3, 1}}));
  EXPECT_EQ(config.pretrain.model.width, 64);
  EXPECT_EQ(config.train.steps, 6);
  EXPECT_EQ(config.train.seed, 7u);
}

TEST(Config, OverridesSetEveryType) {
  const RunConfig config = with_overrides(
      {"optimizer.learning_rate=3e-4", "train.seed=18446744073709551615", "data.seq_len=256",
       "model.separate_cls=false", "model.pooling=max", "objective.masking=WORD_SPAN",
       "objective.max_span=7", "optimizer.update_form=NO_CORRECTION", "model.decoder=1x2",
       "device=cpu", "precision=bf16"});
  EXPECT_EQ(config.optimizer.learning_rate, 3e-4);
  EXPECT_EQ(config.train.seed, 18446744073709551615u);
  EXPECT_EQ(config.data.seq_len, 256);
  EXPECT_FALSE(config.pretrain.model.separate_cls);
  EXPECT_EQ(config.pretrain.model.pooling, Pooling::max);
  EXPECT_EQ(config.corruption.strategy, MaskingStrategy::word_span);
  EXPECT_EQ(config.corruption.min_span, 1);
  EXPECT_EQ(config.corruption.max_span, 7);
  EXPECT_EQ(config.optimizer.update_form, UpdateForm::no_correction);
  EXPECT_EQ(config.pretrain.model.decoder, (BlockConfig{1, 2}));
  EXPECT_EQ(config.device, DeviceChoice::cpu);
  EXPECT_EQ(config.precision, Precision::bf16);
}

TEST(Config, OverridesReplaceRepeatedFieldsAndTheLastWins) {
  const RunConfig config = with_overrides({"model.blocks=6,3x2,3x2", "model.blocks=4,2x2"});
  EXPECT_EQ(config.pretrain.model.blocks, (std::vector<BlockConfig>{{4, 1}, {2, 2}}));
  expect_contains(override_error("model.blocks="), "model.blocks: expected at least one block");
}

TEST(Config, UnknownOverridesNameTheClosestFields) {
  expect_contains(override_error("optimizer.learning_rat=1"), "closest: optimizer.learning_rate");
  expect_contains(override_error("learning_rate=1"), "closest: optimizer.learning_rate");
  expect_contains(override_error("train.step=1"), "--set train.step: there is no such field");
  expect_contains(override_error("train.step=1"), "closest: train.steps");
  expect_contains(override_error("train.steps.x=1"), "no such field");
  expect_contains(override_error("train.=1"), "no such field");
  expect_contains(override_error(".steps=1"), "no such field");
  expect_contains(override_error("model=1"), "expected one field of this group");
  expect_contains(override_error("train.steps"), "expected path=value");
  expect_contains(override_error("=3"), "expected path=value");
}

TEST(Config, BadOverrideValuesNameTheExpectedType) {
  expect_contains(override_error("train.steps=many"),
                  "--set train.steps: expected a whole number, found \"many\"");
  expect_contains(override_error("train.steps=1.5"), "expected a whole number");
  expect_contains(override_error("train.steps=99999999999999999999"), "expected a whole number");
  expect_contains(override_error("train.steps="), "expected a whole number");
  expect_contains(override_error("train.seed=-1"), "expected a whole number of at least 0");
  expect_contains(override_error("optimizer.beta1=0.9x"), "expected a number, found \"0.9x\"");
  expect_contains(override_error("model.separate_cls=yes"), "expected true or false");
  expect_contains(override_error("model.pooling=median"), "expected one of MEAN, MAX");
  expect_contains(override_error("model.blocks=4,,4"), "model.blocks: expected layers such as");
  expect_contains(override_error("model.blocks=4x"), "found \"4x\"");
  expect_contains(override_error("model.decoder=2y2"), "model.decoder: expected layers such as");
}

TEST(Config, ParseErrorsNameFileLineColumnAndReason) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& text) {
    const std::vector<Path> files{folder.write("run.textproto", text)};
    return input_error([&] { load_config(files); });
  };
  const std::string unknown = error_of("train {\n  stepss: 5\n}\n");
  expect_contains(unknown, "run.textproto:2:9: ");
  expect_contains(unknown, "no field named \"stepss\"");
  expect_contains(unknown, "Closest: train.steps");
  expect_contains(error_of("\ntrain { steps: 'five' }"), "run.textproto:2:16: Expected integer");
  expect_contains(error_of("model { pooling: MEDIAN }"), "MEDIAN");
  expect_contains(error_of("train { steps: 1 steps: 2 }"), "specified multiple times");
  expect_contains(error_of("train { steps: 1"), "run.textproto:1:17: ");
  expect_contains(input_error([] { load_config(std::vector<Path>{"missing/run.textproto"}); }),
                  "cannot read the config file missing/run.textproto");
  expect_contains(input_error([] { load_config(std::vector<Path>{kConfigs}); }), "cannot read");
}

TEST(Config, RequiredFields) {
  expect_contains(input_error([] { parse_config("", "text"); }), "model.width: expected a value");
  expect_contains(input_error([] { parse_config("model { width: 64 }", "text"); }),
                  "model.blocks: expected at least one block");
}

TEST(Config, RejectsFieldsThatDoNotGoTogether) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"train.global_batch=18", "train.global_batch: expected a multiple of train.logical_shards"},
      {"train.logical_shards=3", "train.logical_shards: expected a power of two, found 3"},
      {"train.logical_shards=0", "train.logical_shards"},
      {"train.steps=0", "train.steps: expected a number from 1"},
      {"train.keep_checkpoints=1", "train.keep_checkpoints: expected a number from 2"},
      {"train.eval_batches=-1", "train.eval_batches"},
      {"train.log_every_steps=0", "train.log_every_steps"},
      {"train.max_nonfinite_steps=0", "train.max_nonfinite_steps"},
      {"data.prefetch_batches=0", "data.prefetch_batches"},
      {"model.blocks=3", "model.decoder: expected 0 layers"},
      {"model.width=8194", "model.width: expected a number from 2 to 8192, found 8194"},
      {"objective.generator_width_ratio=0.2", "leaves 0 of 4 heads"},
      {"objective.predictions=0", "objective.predictions: expected a number from 1 to 58"},
      {"objective.predictions=59", "objective.predictions: expected a number from 1 to 58"},
      {"objective.leak_ratio=0.95", "objective.leak_ratio + objective.rand_ratio"},
      {"objective.rand_ratio=-0.1", "objective.rand_ratio"},
      {"objective.min_span=0", "objective.min_span: expected a number from 1"},
      {"objective.max_span=0", "objective.max_span: expected a number from 1"},
      {"objective.min_span=6", "objective.max_span: expected a number from 6"},
      {"data.seq_len=4", "leaves block 3 of 3 with 1"},
      {"data.seq_len=9223372036854775807", "data.seq_len"},
      {"optimizer.beta2=1", "optimizer.beta2: expected a number from 0 to below 1, found 1"},
      {"optimizer.epsilon=0", "optimizer.epsilon"},
      {"optimizer.learning_rate=nan", "optimizer.learning_rate"},
      {"optimizer.weight_decay=-1", "optimizer.weight_decay"},
      {"optimizer.clip_norm=inf", "optimizer.clip_norm"},
      {"optimizer.min_learning_rate_ratio=2", "optimizer.min_learning_rate_ratio"},
      {"optimizer.warmup_steps=101", "optimizer.warmup_steps: expected a number from 0 to"},
      {"device=tpu", "device"},
      {"precision=fp16", "precision"},
  };
  for (const auto& [assignment, expected] : cases) {
    const std::string message = override_error(assignment);
    expect_contains(message, expected);
    expect_contains(message, "found");
  }
}

TEST(Config, RangeErrorsNameTheSources) {
  expect_contains(override_error("train.steps=0"), "tiny.textproto with --set: train.steps: ");
  expect_contains(input_error([] { parse_config("", "run/config.textproto"); }),
                  "run/config.textproto: model.width: ");
}

TEST(Config, PredictionsMayFillTheSequence) {
  // 64 tokens but the last 4 that truncation replaces by SEP and padding, CLS and the first SEP.
  EXPECT_EQ(with_overrides({"objective.predictions=58"}).corruption.predictions, 58);
  EXPECT_EQ(with_overrides({"objective.predictions=61", "model.truncate_seq=false"})
                .corruption.predictions,
            61);
}

TEST(Config, VocabularyComesFromTheDataOrMustMatch) {
  RunConfig open = parse_config(kSmall, "text");
  set_vocabulary(open, 8192, "shards");
  EXPECT_EQ(open.pretrain.model.vocab, 8192);
  EXPECT_TRUE(open.vocab_is_set);

  RunConfig fixed =
      parse_config("model { width: 64 heads: 4 blocks: '1' vocab_size: 30522 }", "text");
  EXPECT_NO_THROW(set_vocabulary(fixed, 30522, "shards"));
  expect_contains(input_error([&] { set_vocabulary(fixed, 8192, "shards"); }),
                  "model.vocab_size: expected 8192, the size of the vocabulary of shards; found "
                  "30522");
}

TEST(Config, DifferencesNameFieldAndBothValues) {
  const RunConfig there = with_overrides({});
  const RunConfig here = with_overrides({"train.steps=200", "model.blocks=1,1x2"});
  EXPECT_EQ(differences(there, here),
            (Strings{"model.blocks: \"1\", \"1\", \"1\" there, \"1\", \"1x2\" here",
                     "train.steps: 100 there, 200 here"}));
}

}  // namespace
}  // namespace funnel
