// SPDX-License-Identifier: Apache-2.0
#include "data/mixture.h"

#include <charconv>

#include "core/base/error.h"

namespace funnel {

DataSource parse_data_source(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text)) return {text};
  double weight = 0;
  const char* const begin = text.data() + colon + 1;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(begin, end, weight);
  FUNNEL_CHECK_INPUT(error == std::errc() && at == end && weight > 0 && weight < 1e9, text,
                     ": expected a data folder, or DIR:WEIGHT with a weight above 0 and below 1e9; "
                     "found the weight '",
                     text.substr(colon + 1), "'");
  return {text.substr(0, colon), weight};
}

Mixture Mixture::open(const std::vector<DataSource>& sources, CheckShare share) {
  FUNNEL_CHECK(!sources.empty(), "mixture: expected at least one data set");
  std::vector<DataSet> sets;
  std::vector<double> weights;
  for (const DataSource& source : sources) {
    sets.push_back(DataSet::open(source.folder, share));
    weights.push_back(source.weight.value_or(1));
    const DataSet &first = sets.front(), &added = sets.back();
    const std::string name = added.folder().string(), other = first.folder().string();
    FUNNEL_CHECK_INPUT(added.vocabulary().digest() == first.vocabulary().digest(), name,
                       ": vocabulary: expected that of ", other, " with SHA-256 ",
                       first.vocabulary().digest(), ", found ", added.vocabulary().digest());
    FUNNEL_CHECK_INPUT(added.seq_len() == first.seq_len(), name, ": seq_len: expected ",
                       first.seq_len(), " as in ", other, ", found ", added.seq_len());
  }
  return Mixture(std::move(sets), std::move(weights));
}

Mixture::Mixture(std::vector<DataSet> sets, std::vector<double> weights)
    : sets_(std::move(sets)), weights_(std::move(weights)), first_example_{0} {
  for (const DataSet& set : sets_) first_example_.push_back(examples() + set.examples());
}

std::vector<SampledSet> Mixture::sampled_sets() const {
  std::vector<SampledSet> list;
  for (size_t i = 0; i < sets_.size(); ++i) list.push_back({sets_[i].examples(), weights_[i]});
  return list;
}

std::vector<DataSource> Mixture::held_out(const std::vector<DataSource>& sources) {
  std::vector<DataSource> list;
  for (const DataSource& source : sources) {
    const std::filesystem::path folder = source.folder / kHeldOutFolder;
    if (std::filesystem::exists(folder)) list.push_back({folder, source.weight});
  }
  return list;
}

}  // namespace funnel
