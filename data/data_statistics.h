// SPDX-License-Identifier: Apache-2.0
// What the examples of a data set are made of, counted from its shards; and a report of it for
// people. Counts of parts of a data set add up to those of the whole, in any order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/data_set.h"

namespace funnel {

inline constexpr char kReportFile[] = "report.txt";

struct DataStatistics {
  std::vector<int64_t> uses;     // [vocabulary] of each id, special ones and padding included
  std::vector<int64_t> lengths;  // [seq_len + 1] examples with so many tokens before the padding
  int64_t pairs = 0;             // examples with a segment B
  int64_t segment_a_tokens = 0;

  explicit DataStatistics(const DataIndex& index);

  // Counts rows: `ids` [rows, seq_len] and `segment_a_length` [rows], i32.
  void add(const DataIndex& index, ConstTensor ids, ConstTensor segment_a_length);
  void add(const DataStatistics& other);

  // Calls f(number) for everything that is counted, in a fixed order.
  template <class F>
  void for_each_count(const F& f) {
    for (int64_t& count : uses) f(count);
    for (int64_t& count : lengths) f(count);
    f(pairs);
    f(segment_a_tokens);
  }

  int64_t examples() const;
  int64_t padding(const DataIndex& index) const;
  // Tokens that are text: neither special nor padding, but <unk>.
  int64_t text_tokens(const DataIndex& index) const;
};

// Counts chunks first, first + stride, first + 2 stride, ... below `end`.
DataStatistics count_examples(const DataSet& data, int64_t first, int64_t stride, int64_t end);

// A few lines: tokens, padding, histogram of lengths, vocabulary coverage, unknown rate.
std::string report_text(const DataIndex& index, const DataStatistics& statistics);

}  // namespace funnel
