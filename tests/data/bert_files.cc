// SPDX-License-Identifier: Apache-2.0
#include "tests/data/bert_files.h"

#include <hdf5.h>

#include <algorithm>
#include <random>
#include <stdexcept>

namespace funnel::testing {
namespace {

using Lists = std::vector<std::vector<int32_t>>;

void check(bool done) {
  if (!done) throw std::runtime_error("HDF5 cannot write the test's file");
}

void write_fixed(hid_t file, const char* name, const Lists& rows, size_t width, hid_t type) {
  std::vector<int32_t> values;
  for (std::vector<int32_t> row : rows) {
    row.resize(width, 0);
    values.insert(values.end(), row.begin(), row.end());
  }
  const hsize_t extents[] = {rows.size(), width};
  const hsize_t chunk[] = {std::min<hsize_t>(rows.size(), 100), width};
  const hid_t space = H5Screate_simple(2, extents, nullptr);
  const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(layout, 2, chunk);
  H5Pset_deflate(layout, 4);
  const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  check(H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  H5Dclose(dataset);
  H5Pclose(layout);
  H5Sclose(space);
}

void write_lists(hid_t file, const char* name, Lists rows, hid_t type) {
  std::vector<hvl_t> lists;
  for (std::vector<int32_t>& row : rows) lists.push_back({row.size(), row.data()});
  const hsize_t extent = rows.size();
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  const hid_t stored = H5Tvlen_create(type), memory = H5Tvlen_create(H5T_NATIVE_INT32);
  const hid_t dataset =
      H5Dcreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  check(H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, lists.data()) >= 0);
  H5Dclose(dataset);
  H5Tclose(memory);
  H5Tclose(stored);
  H5Sclose(space);
}

}  // namespace

BertFile masked_examples(const Vocabulary& vocabulary, int64_t rows, int64_t seq_len) {
  std::mt19937 random(11);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  const SpecialIds& special = vocabulary.special();
  const auto word = [&] {
    return static_cast<int32_t>(vocabulary.size() - 1 - below(vocabulary.size() - 10));
  };
  BertFile file;
  file.seq_len = seq_len;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t length = below(3) == 0 ? seq_len : 8 + below(seq_len - 8);
    const bool has_b = below(4) != 0;
    const int64_t a = has_b ? 1 + below(length - 5) : length - 2;
    BertRow original{{special.cls}, a};
    while (static_cast<int64_t>(original.ids.size()) < length) original.ids.push_back(word());
    original.ids[static_cast<size_t>(a + 1)] = original.ids.back() = special.sep;
    std::vector<int32_t> ids = original.ids, segments(ids.size(), 0), positions, targets;
    std::fill(segments.begin() + std::min(a + 2, length), segments.end(), 1);
    for (int64_t i = 1; i < length - 1; ++i) {
      if (i == a + 1 || (below(8) != 0 && i != 1)) continue;
      positions.push_back(static_cast<int32_t>(i));
      targets.push_back(ids[static_cast<size_t>(i)]);
      if (below(10) != 0) ids[static_cast<size_t>(i)] = below(9) == 0 ? word() : special.mask;
    }
    file.mask.emplace_back(ids.size(), 1);
    file.ids.push_back(std::move(ids));
    file.segments.push_back(std::move(segments));
    file.masked_positions.push_back(std::move(positions));
    file.masked_ids.push_back(std::move(targets));
    file.originals.push_back(std::move(original));
  }
  return file;
}

void write_bert_file(const std::filesystem::path& path, const BertFile& content, bool lists) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  check(file >= 0);
  const auto width = static_cast<size_t>(content.seq_len), predictions = width;
  const auto write = [&](const char* name, const Lists& rows, size_t row_width, hid_t fixed,
                         hid_t list) {
    if (content.left_out == name) return;
    lists ? write_lists(file, name, rows, list) : write_fixed(file, name, rows, row_width, fixed);
  };
  write("input_ids", content.ids, width, H5T_STD_I32LE, H5T_STD_I16LE);
  if (!lists) write("input_mask", content.mask, width, H5T_STD_I8LE, H5T_STD_I8LE);
  write("segment_ids", content.segments, width, H5T_STD_I8LE, H5T_STD_I8LE);
  write("masked_lm_positions", content.masked_positions, predictions, H5T_STD_I32LE, H5T_STD_I16LE);
  write("masked_lm_ids", content.masked_ids, predictions, H5T_STD_I32LE, H5T_STD_I16LE);
  check(H5Fclose(file) >= 0);
}

}  // namespace funnel::testing
