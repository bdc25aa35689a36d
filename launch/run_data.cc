// SPDX-License-Identifier: Apache-2.0
#include "launch/run_data.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {
namespace {

// Weights stand in the configuration or with the folders; from here on in both. A single data set
// needs none.
void agree_on_weights(std::vector<DataSource>& sources, std::vector<double>& weights) {
  const bool are_named = std::any_of(sources.begin(), sources.end(), [](const DataSource& source) {
    return source.weight.has_value();
  });
  FUNNEL_CHECK_INPUT(weights.empty() || weights.size() == sources.size(),
                     "data.weights: expected one for each of ", sources.size(),
                     " data sets, found ", weights.size());
  FUNNEL_CHECK_INPUT(weights.empty() || !are_named,
                     "data.weights: expected none beside --data DIR:WEIGHT, found ",
                     weights.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!weights.empty()) sources[i].weight = weights[i];
  }
  weights.clear();
  if (sources.size() == 1) return;
  for (const DataSource& source : sources) weights.push_back(source.weight.value_or(1));
}

void check_seq_len(const Mixture& data, int64_t expected) {
  FUNNEL_CHECK_INPUT(data.seq_len() == expected, "data.seq_len: expected ", data.seq_len(),
                     ", the tokens in a sequence of ", data.set(0).folder().string(), "; found ",
                     expected);
}

}  // namespace

RunData open_run_data(std::vector<DataSource> sources, CheckShare share, RunConfig& config) {
  agree_on_weights(sources, config.data.weights);
  RunData data{Mixture::open(sources, share), std::nullopt};
  const DataSet& first = data.training.set(0);
  set_vocabulary(config, first.vocabulary().size(), first.folder().string());
  check_seq_len(data.training, config.data.seq_len);
  const std::vector<DataSource> held_out = Mixture::held_out(sources);
  if (held_out.empty()) return data;
  data.held_out = Mixture::open(held_out, share);
  check_seq_len(*data.held_out, config.data.seq_len);
  const Vocabulary& found = data.held_out->vocabulary();
  FUNNEL_CHECK_INPUT(found.digest() == first.vocabulary().digest(),
                     data.held_out->set(0).folder().string(), ": vocabulary: expected that of ",
                     first.folder().string(), " with SHA-256 ", first.vocabulary().digest(),
                     ", found ", found.digest());
  return data;
}

}  // namespace funnel
