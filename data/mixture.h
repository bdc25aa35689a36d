// SPDX-License-Identifier: Apache-2.0
// One or several data sets that are trained on together, each with a weight: of the sequences seen,
// data set i makes up weight i over the sum of the weights, in any stretch of steps, however many
// examples it has. All have one vocabulary and one sequence length.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/data_set.h"
#include "data/sampler.h"

namespace funnel {

struct DataSource {
  std::filesystem::path folder;
  std::optional<double> weight = {};  // 1 unless given
};

// "DIR" or "DIR:WEIGHT". Throws an input error when WEIGHT is not a number above 0. A folder whose
// whole name is the text comes first.
DataSource parse_data_source(const std::string& text);

class Mixture {
 public:
  // Throws an input error naming the folder; see DataSet::open. At least one source.
  static Mixture open(const std::vector<DataSource>& sources, CheckShare share = {});

  int64_t size() const { return static_cast<int64_t>(sets_.size()); }
  const DataSet& set(int64_t i) const { return sets_[static_cast<size_t>(i)]; }

  int64_t seq_len() const { return sets_.front().seq_len(); }
  const Vocabulary& vocabulary() const { return sets_.front().vocabulary(); }
  int64_t examples() const { return first_example_.back(); }  // of all sets

  // Numbers examples through all sets.
  int64_t example_number(int64_t set, int64_t example) const {
    return first_example_[static_cast<size_t>(set)] + example;
  }

  // What the sampler has to know.
  std::vector<SampledSet> sampled_sets() const;

  // The held-out sets of those that have one, with their weights; no sources if none has.
  static std::vector<DataSource> held_out(const std::vector<DataSource>& sources);

 private:
  Mixture(std::vector<DataSet> sets, std::vector<double> weights);

  std::vector<DataSet> sets_;
  std::vector<double> weights_;
  std::vector<int64_t> first_example_;  // of each set, and the number of all
};

}  // namespace funnel
