// SPDX-License-Identifier: Apache-2.0
// Plain text in columns: the first column starts at the left, all others end at the right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace funnel {

class Table {
 public:
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Every line is indented by two and ends in a line break.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// 1234567 as "1,234,567"; not negative.
std::string grouped(int64_t number);

// Bytes in the unit that suits them: "1.50 GiB".
std::string size_text(int64_t bytes);

// With so many digits after the point.
std::string fixed(double number, int digits);

}  // namespace funnel
