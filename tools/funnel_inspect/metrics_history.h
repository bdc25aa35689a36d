// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl read back (launch/metrics.h says what the lines hold).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace funnel {

struct MetricsLine {
  int64_t step = 0;                       // steps done
  std::map<std::string, double> numbers;  // by field; NaN where the run had none

  // Nothing where the line has no such field.
  std::optional<double> number(const std::string& field) const;
};

struct MetricsHistory {
  std::vector<MetricsLine> train, eval;  // in the order of the file
};

// A missing file is an empty history. An input error names the line that is not one of metrics;
// the last line may be torn, as a run that was killed or is writing leaves it.
MetricsHistory read_metrics(const std::filesystem::path& path);

// The median of a field over the lines that have it as a finite number; nothing if none has.
std::optional<double> median(const std::vector<MetricsLine>& lines, const std::string& field);

}  // namespace funnel
