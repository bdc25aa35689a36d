// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_inspect/metrics_history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.h"
#include "data/durable_file.h"

namespace funnel {

namespace {

using Json = nlohmann::json;

bool is_metrics(const Json& line) {
  return line.is_object() && line.contains("step") && line["step"].is_number_integer() &&
         line.contains("kind") && line["kind"].is_string();
}

MetricsLine parse(const Json& line) {
  MetricsLine parsed{.step = line["step"].get<int64_t>(), .numbers = {}};
  for (const auto& [field, value] : line.items()) {
    if (value.is_number()) parsed.numbers[field] = value.get<double>();
    // JSON has no NaN and no infinity; they are written as null.
    if (value.is_null()) parsed.numbers[field] = std::numeric_limits<double>::quiet_NaN();
    if (value.is_boolean()) parsed.numbers[field] = value.get<bool>() ? 1 : 0;
  }
  return parsed;
}

}  // namespace

std::optional<double> MetricsLine::number(const std::string& field) const {
  const auto found = numbers.find(field);
  if (found == numbers.end()) return std::nullopt;
  return found->second;
}

MetricsHistory read_metrics(const std::filesystem::path& path) {
  MetricsHistory history;
  if (!std::filesystem::exists(path)) return history;
  std::istringstream text(read_text_file(path));
  int64_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    const Json parsed = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!is_metrics(parsed)) {
      const bool is_torn = text.eof();
      FUNNEL_CHECK_INPUT(is_torn, path.string(), ":", number,
                         ": expected a JSON object with kind and step, found ", line.substr(0, 80));
      break;
    }
    if (parsed["kind"] == "train") history.train.push_back(parse(parsed));
    if (parsed["kind"] == "eval") history.eval.push_back(parse(parsed));
  }
  return history;
}

std::optional<double> median(const std::vector<MetricsLine>& lines, const std::string& field) {
  std::vector<double> values;
  for (const MetricsLine& line : lines) {
    const std::optional<double> value = line.number(field);
    if (value && std::isfinite(*value)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace funnel
