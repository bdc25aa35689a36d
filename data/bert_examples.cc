// SPDX-License-Identifier: Apache-2.0
#include "data/bert_examples.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {
namespace {

constexpr int64_t kBlockRows = 1024;

}  // namespace

std::span<int32_t> BertExampleReader::Column::row(int64_t i) {
  const auto at = static_cast<size_t>(i);
  const int64_t begin = !lists ? i * width : i == 0 ? 0 : ends[at - 1];
  const int64_t end = !lists ? begin + width : ends[at];
  return std::span(values).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

template <class... Parts>
void BertExampleReader::check(bool condition, const Column& column, Parts&&... parts) const {
  FUNNEL_CHECK_INPUT(condition, file_.name(), ": dataset '", column.name, "', row ", next_, ": ",
                     std::forward<Parts>(parts)...);
}

BertExampleReader::BertExampleReader(const std::filesystem::path& path,
                                     const Vocabulary& vocabulary)
    : file_(H5File::open(path)), vocabulary_(vocabulary) {
  const std::vector<std::string> datasets = file_.datasets();
  const auto has = [&](const char* name) {
    return std::binary_search(datasets.begin(), datasets.end(), name);
  };
  for (const char* name : {"input_ids", "segment_ids", "masked_lm_positions", "masked_lm_ids"}) {
    FUNNEL_CHECK_INPUT(has(name), file_.name(), ": expected a dataset '", name,
                       "', as NVIDIA's and MLPerf's BERT examples have, found none");
  }
  lists_ = file_.is_list("input_ids");
  rows_ = file_.shape("input_ids")[0];
  ids_ = open_column("input_ids", lists_);
  segments_ = open_column("segment_ids", lists_);
  masked_positions_ = open_column("masked_lm_positions", lists_);
  masked_ids_ = open_column("masked_lm_ids", lists_);
  if (lists_) return;
  FUNNEL_CHECK_INPUT(has("input_mask"), file_.name(),
                     ": expected a dataset 'input_mask' beside rows of fixed length, found none");
  mask_ = open_column("input_mask", false);
  FUNNEL_CHECK_INPUT(mask_.width == ids_.width && segments_.width == ids_.width &&
                         masked_ids_.width == masked_positions_.width,
                     file_.name(), ": the datasets differ in the length of their rows");
}

BertExampleReader::Column BertExampleReader::open_column(const std::string& name,
                                                         bool lists) const {
  Column column;
  column.name = name;
  column.lists = lists;
  const Shape shape = file_.shape(name);
  FUNNEL_CHECK_INPUT(
      file_.is_list(name) == lists && shape.rank() == (lists ? 1 : 2) && shape[0] == rows_,
      file_.name(), ": dataset '", name, "': expected ", rows_,
      lists ? " lists of integers" : " rows of integers", " as in 'input_ids', found ",
      file_.is_list(name) ? "lists of shape " : "shape ", shape);
  column.width = lists ? 0 : shape[1];
  return column;
}

void BertExampleReader::read(Column& column, int64_t count) {
  if (column.lists) {
    file_.read_lists(column.name, next_, count, column.values, column.ends);
    return;
  }
  column.values.resize(static_cast<size_t>(count * column.width));
  if (file_.dtype(column.name) == DType::u8) {
    std::vector<uint8_t> bytes(column.values.size());
    file_.read_rows(column.name, next_, Tensor(bytes.data(), {count, column.width}, DType::u8));
    std::copy(bytes.begin(), bytes.end(), column.values.begin());
    return;
  }
  file_.read_rows(column.name, next_,
                  Tensor(column.values.data(), {count, column.width}, DType::i32));
}

void BertExampleReader::read_block() {
  const int64_t count = std::min(kBlockRows, rows_ - next_);
  for (Column* column : {&ids_, &segments_, &masked_positions_, &masked_ids_}) read(*column, count);
  if (!lists_) read(mask_, count);
  block_begin_ = next_;
  block_rows_ = count;
}

// Tokens in front of the padding.
int64_t BertExampleReader::length(int64_t i) {
  if (lists_) return static_cast<int64_t>(ids_.row(i).size());
  const std::span<const int32_t> mask = mask_.row(i);
  const auto end = std::find(mask.begin(), mask.end(), 0);
  check(std::all_of(mask.begin(), end, [](int32_t m) { return m == 1; }) &&
            std::all_of(end, mask.end(), [](int32_t m) { return m == 0; }),
        mask_, "expected ones, then zeros");
  return end - mask.begin();
}

// Puts the original tokens back.
void BertExampleReader::unmask(int64_t i, std::span<int32_t> ids) {
  const std::span<const int32_t> positions = masked_positions_.row(i), tokens = masked_ids_.row(i);
  check(positions.size() == tokens.size(), masked_ids_, "expected ", positions.size(),
        " as in 'masked_lm_positions', found ", tokens.size());
  const auto size = static_cast<int64_t>(ids.size());
  for (size_t k = 0; k < positions.size(); ++k) {
    // Position 0 is CLS, which is never masked: the rest of the row is filling.
    if (positions[k] == 0) break;
    check(positions[k] > 0 && positions[k] < size, masked_positions_, "expected 1 to ", size - 1,
          ", found ", positions[k]);
    ids[static_cast<size_t>(positions[k])] = tokens[k];
  }
}

// Tokens of A, after holding the row to its form.
int64_t BertExampleReader::segment_a(int64_t i, std::span<const int32_t> ids) {
  const SpecialIds& special = vocabulary_.special();
  const auto size = static_cast<int64_t>(ids.size());
  const auto expect = [&](int64_t position, int32_t id, const char* piece) {
    check(ids[static_cast<size_t>(position)] == id, ids_, "position ", position, ": expected ",
          piece, " = ", id, " of the vocabulary, found ", ids[static_cast<size_t>(position)]);
  };
  check(size >= 3, ids_, "expected at least 3 tokens, found ", size);
  for (int64_t position = 0; position < size; ++position) {
    const int32_t id = ids[static_cast<size_t>(position)];
    check(id >= 0 && id < vocabulary_.size(), ids_, "position ", position, ": expected ids below ",
          vocabulary_.size(), ", the size of the vocabulary, found ", id);
    check(id != special.mask, ids_, "position ", position,
          ": a masked token that 'masked_lm_positions' does not name");
  }
  expect(0, special.cls, "[CLS]");
  expect(size - 1, special.sep, "[SEP]");
  const std::span<const int32_t> segments = segments_.row(i);
  check(static_cast<int64_t>(segments.size()) >= size, segments_, "expected ", size, ", found ",
        segments.size());
  const auto end = segments.begin() + size;
  const auto b = std::find(segments.begin(), end, 1);
  check(std::all_of(segments.begin(), b, [](int32_t s) { return s == 0; }) &&
            std::all_of(b, end, [](int32_t s) { return s == 1; }),
        segments_, "expected zeros, then ones");
  // [CLS] and [SEP] are counted to A.
  const int64_t a = b - segments.begin() - 2;
  check(a >= 1 && a + 2 != size - 1, segments_, "expected no empty segment");
  expect(a + 1, special.sep, "[SEP]");
  return a;
}

bool BertExampleReader::next(BertExample& example) {
  if (next_ >= rows_) return false;
  if (next_ < block_begin_ || next_ >= block_begin_ + block_rows_) read_block();
  const int64_t i = next_ - block_begin_;
  const std::span<int32_t> ids = ids_.row(i).first(static_cast<size_t>(length(i)));
  unmask(i, ids);
  example.ids = ids;
  example.segment_a_length = segment_a(i, ids);
  ++next_;
  return true;
}

}  // namespace funnel
