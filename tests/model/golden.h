// SPDX-License-Identifier: Apache-2.0
// One fixture of tests/golden (its README says what the datasets hold), read as a model's config
// and inputs.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "data/h5.h"
#include "tests/model/whole_model.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {

// The fixtures' names without ".h5", sorted.
std::vector<std::string> golden_names();

class Golden {
 public:
  // Floating inputs are read as `dtype`.
  Golden(const std::string& name, DType dtype);

  const std::string& objective() const { return objective_; }
  const PretrainConfig& config() const { return config_; }
  const ModelInputs& inputs() const { return inputs_; }
  double loss() const { return file_.double_attribute("loss"); }
  const H5File& file() const { return file_; }

  bool has(const std::string& dataset) const { return file_.has_dataset(dataset); }
  std::vector<double> numbers(const std::string& dataset) const;
  // The parameters that the fixture has values and gradients of.
  std::vector<std::string> parameters() const;

 private:
  void read_config();
  void read_inputs(DType dtype);
  // inputs/NAME as it is stored, or null where it is not.
  ConstTensor input(const std::string& name);
  int64_t number(const std::string& attribute) const { return file_.int_attribute(attribute); }

  H5File file_;
  std::string objective_;
  PretrainConfig config_;
  ModelInputs inputs_;
  std::deque<OwnedTensor> owned_;
};

}  // namespace funnel::testing
