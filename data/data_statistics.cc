// SPDX-License-Identifier: Apache-2.0
#include "data/data_statistics.h"

#include <algorithm>
#include <iomanip>
#include <numeric>
#include <sstream>

namespace funnel {
namespace {

constexpr int64_t kLengthBins = 8;

void add_to(std::vector<int64_t>& sums, const std::vector<int64_t>& counts) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
}

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// Examples by eighths of the length; the last bin ends with the full ones, which also stand alone.
void write_lengths(const DataIndex& index, const DataStatistics& statistics, std::ostream& out) {
  const int64_t examples = statistics.examples();
  int64_t begin = 1;
  for (int64_t bin = 1; bin <= kLengthBins; ++bin) {
    const int64_t end = index.seq_len * bin / kLengthBins + 1;
    const int64_t count = std::accumulate(statistics.lengths.begin() + begin,
                                          statistics.lengths.begin() + end, int64_t{0});
    out << "  " << std::setw(5) << begin << " to " << std::setw(5) << end - 1 << "  "
        << std::setw(12) << count << "  " << percent(count, examples) << " %\n";
    begin = end;
  }
  out << "  full            " << std::setw(12) << statistics.lengths.back() << "  "
      << percent(statistics.lengths.back(), examples) << " %\n";
}

}  // namespace

DataStatistics::DataStatistics(const DataIndex& index)
    : uses(static_cast<size_t>(index.vocab)), lengths(static_cast<size_t>(index.seq_len + 1)) {}

void DataStatistics::add(const DataIndex& index, ConstTensor ids, ConstTensor segment_a_length) {
  const int32_t* id = ids.as<int32_t>();
  for (int64_t i = 0; i < ids.elements(); ++i) ++uses[static_cast<size_t>(id[i])];
  for (int64_t row = 0; row < segment_a_length.elements(); ++row) {
    const int64_t a = segment_a_length.as<int32_t>()[row];
    const ExampleLayout layout = layout_of(
        {id + row * index.seq_len, static_cast<size_t>(index.seq_len)}, a, index.special.pad);
    ++lengths[static_cast<size_t>(layout.length)];
    pairs += layout.has_b() ? 1 : 0;
    segment_a_tokens += a;
  }
}

void DataStatistics::add(const DataStatistics& other) {
  add_to(uses, other.uses);
  add_to(lengths, other.lengths);
  pairs += other.pairs;
  segment_a_tokens += other.segment_a_tokens;
}

int64_t DataStatistics::examples() const {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}

int64_t DataStatistics::padding(const DataIndex& index) const {
  return uses[static_cast<size_t>(index.special.pad)];
}

int64_t DataStatistics::text_tokens(const DataIndex& index) const {
  int64_t tokens = std::accumulate(uses.begin(), uses.end(), int64_t{0});
  const SpecialIds& special = index.special;
  for (int32_t id : {special.pad, special.cls, special.sep, special.mask}) {
    tokens -= uses[static_cast<size_t>(id)];
  }
  return tokens;
}

DataStatistics count_examples(const DataSet& data, int64_t first, int64_t stride, int64_t end) {
  const DataIndex& index = data.index();
  DataStatistics statistics(index);
  std::vector<int32_t> ids(static_cast<size_t>(data.chunk_rows() * data.seq_len()));
  std::vector<int32_t> lengths(static_cast<size_t>(data.chunk_rows()));
  for (int64_t chunk = first; chunk < end; chunk += stride) {
    const int64_t rows = data.rows_of(chunk);
    const Tensor id_rows(ids.data(), {rows, data.seq_len()}, DType::i32);
    const Tensor length_rows(lengths.data(), {rows}, DType::i32);
    data.read_chunk(chunk, id_rows, length_rows);
    statistics.add(index, id_rows, length_rows);
  }
  return statistics;
}

std::string report_text(const DataIndex& index, const DataStatistics& statistics) {
  const int64_t examples = statistics.examples(), text = statistics.text_tokens(index);
  const int64_t padding = statistics.padding(index);
  const int64_t unknown = statistics.uses[static_cast<size_t>(index.special.unk)];
  const auto used = static_cast<int64_t>(statistics.uses.size()) -
                    std::count(statistics.uses.begin(), statistics.uses.end(), 0);
  std::ostringstream out;
  out << std::fixed << std::setprecision(2);
  out << "packing           " << name_of(index.packing) << ", " << index.passes
      << (index.passes == 1 ? " pass" : " passes") << '\n'
      << "text              " << index.tokens << " tokens\n"
      << "examples          " << examples << " of " << index.seq_len << " tokens\n"
      << "  two segments    " << statistics.pairs << ", " << percent(statistics.pairs, examples)
      << " %\n"
      << "tokens of text    " << text << '\n'
      << "padding           " << padding << ", " << percent(padding, examples * index.seq_len)
      << " % of all positions\n"
      << "vocabulary used   " << used << " of " << index.vocab << " pieces, "
      << percent(used, index.vocab) << " %\n"
      << "unknown           " << unknown << ", " << std::setprecision(4) << percent(unknown, text)
      << " % of the tokens of text\n"
      << std::setprecision(2) << "examples by length, with special tokens\n";
  write_lengths(index, statistics, out);
  return out.str();
}

}  // namespace funnel
