// SPDX-License-Identifier: Apache-2.0
#include "tests/model/golden.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace funnel::testing {
namespace {

constexpr std::string_view kValues = "values/";

// Where the fixtures lie: in the source tree, unless the environment names the same folder
// elsewhere.
std::filesystem::path golden_folder() {
  const char* folder = std::getenv("FUNNEL_GOLDEN_DIR");
  return folder == nullptr ? FUNNEL_GOLDEN_DIR : folder;
}

}  // namespace

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (entry.path().extension() == ".h5") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Golden::Golden(const std::string& name, DType dtype)
    : file_(H5File::open(golden_folder() / (name + ".h5"))) {
  read_config();
  read_inputs(dtype);
}

void Golden::read_config() {
  objective_ = file_.string_attribute("objective");
  FunnelConfig& model = config_.model;
  model.vocab = number("vocab");
  model.embedding_width = number("embedding_width");
  model.width = number("width");
  model.heads = number("heads");
  model.head_width = number("head_width");
  model.inner = number("inner");
  model.blocks.clear();
  for (int64_t b = 0; b < number("block_count"); ++b) {
    model.blocks.push_back(
        {number(concat("block_", b, "_layers")), number(concat("block_", b, "_repeats"))});
  }
  model.decoder = {number("decoder_layers"), number("decoder_repeats")};
  model.pooling = number("max_pooling") != 0 ? Pooling::max : Pooling::mean;
  model.separate_cls = number("separate_cls") != 0;
  model.truncate_seq = number("truncate_seq") != 0;
  model.pool_query_only = number("pool_query_only") != 0;
  model.cls_mask_always = number("cls_mask_always") != 0;
  model.layer_norm_epsilon = file_.double_attribute("layer_norm_epsilon");
  config_.objective = objective_ == "electra" ? Objective::electra : Objective::mlm;
  if (objective_ == "electra") {
    config_.generator_width_ratio = file_.double_attribute("generator_width_ratio");
  }
  if (objective_ == "electra" || objective_ == "discriminator") {
    config_.discriminator_weight = file_.double_attribute("discriminator_weight");
  }
}

void Golden::read_inputs(DType dtype) {
  const bool electra = objective_ == "electra";
  PretrainBatch& batch = inputs_.batch;
  batch.input_ids = input(electra ? "original_ids" : "input_ids");
  batch.masked_ids = input(electra ? "corrupted_ids" : "input_ids");
  batch.segments = input("segments");
  batch.hidden = input("hidden");
  batch.padded = batch.hidden;
  batch.positions = input("positions");
  batch.targets = input("targets");
  batch.samples = input("samples");
  for (double hidden : values_of(batch.hidden)) batch.tokens += hidden == 0 ? 1 : 0;
  inputs_.labels = input("labels");
  if (has("inputs/cotangent")) {
    inputs_.cotangent =
        owned_.emplace_back(file_.shape("inputs/cotangent"), dtype, numbers("inputs/cotangent"));
  }
}

ConstTensor Golden::input(const std::string& name) {
  const std::string dataset = "inputs/" + name;
  if (!has(dataset)) return {};
  return owned_.emplace_back(file_.shape(dataset), file_.dtype(dataset), numbers(dataset));
}

std::vector<double> Golden::numbers(const std::string& dataset) const {
  const OwnedTensor tensor(file_.shape(dataset), file_.dtype(dataset), Device::cpu);
  file_.read(dataset, tensor);
  return tensor.values();
}

std::vector<std::string> Golden::parameters() const {
  std::vector<std::string> names;
  for (const std::string& dataset : file_.datasets()) {
    if (dataset.starts_with(kValues)) names.push_back(dataset.substr(kValues.size()));
  }
  return names;
}

}  // namespace funnel::testing
