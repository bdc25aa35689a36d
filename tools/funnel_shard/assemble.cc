// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/assemble.h"

#include "core/base/error.h"
#include "data/shard.h"

namespace funnel::shard_tool {
namespace {

// Copies a rest's examples into the writer.
void add_rest(const std::filesystem::path& folder, const ShardEntry& rest, ShardWriter& writer) {
  const DataIndex& index = writer.index();
  const H5Rows file = open_shard(folder, index, rest);
  std::vector<int32_t> ids(static_cast<size_t>(rest.rows * index.seq_len));
  std::vector<int32_t> lengths(static_cast<size_t>(rest.rows));
  read_shard_rows(file, index, 0, Tensor(ids.data(), {rest.rows, index.seq_len}, DType::i32),
                  Tensor(lengths.data(), {rest.rows}, DType::i32));
  for (int64_t row = 0; row < rest.rows; ++row) {
    writer.add(std::span(ids).subspan(static_cast<size_t>(row * index.seq_len),
                                      static_cast<size_t>(index.seq_len)),
               lengths[static_cast<size_t>(row)]);
  }
}

// One data set: the units' shards, then the joined rests.
std::string assemble_folder(const BuildSetup& setup, const std::filesystem::path& folder,
                            DataIndex index, const std::vector<std::vector<UnitRecord>>& units,
                            UnitShare UnitRecord::*share_of) {
  int64_t documents = 0, tokens = 0;
  for (const std::vector<UnitRecord>& job : units) {
    for (const UnitRecord& unit : job) {
      const UnitShare& share = unit.*share_of;
      documents += share.documents;
      tokens += share.tokens;
      if (!share.shard) continue;
      index.shards.push_back(*share.shard);
      index.examples += share.shard->rows;
    }
  }
  ShardWriter writer(folder, std::move(index), setup.options.shard_rows,
                     static_cast<int64_t>(units.size()));
  for (const std::vector<UnitRecord>& job : units) {
    for (const UnitRecord& unit : job) {
      if ((unit.*share_of).rest) add_rest(setup.folder.path(), *(unit.*share_of).rest, writer);
    }
  }
  writer.finish(setup.vocabulary, tokens);
  return concat(folder.string(), ": ", documents, " documents, ", tokens, " tokens, ",
                writer.index().examples, " examples in ", writer.index().shards.size(),
                " shards\n");
}

// What the units passed over.
std::string skipped(const std::vector<std::vector<UnitRecord>>& units) {
  int64_t bad_lines = 0, duplicates = 0;
  std::string first_bad_line;
  for (const std::vector<UnitRecord>& job : units) {
    for (const UnitRecord& unit : job) {
      if (first_bad_line.empty()) first_bad_line = unit.first_bad_line;
      bad_lines += unit.bad_lines;
      duplicates += unit.duplicates;
    }
  }
  std::string text;
  if (bad_lines > 0)
    text += concat("bad lines skipped: ", bad_lines, ", first ", first_bad_line, '\n');
  if (duplicates > 0) text += concat("duplicates dropped: ", duplicates, '\n');
  return text;
}

}  // namespace

std::string assemble(const BuildSetup& setup, const std::vector<std::vector<UnitRecord>>& units) {
  int64_t unknown = 0, tokens = 0;
  bool any_examples = false;
  for (const std::vector<UnitRecord>& job : units) {
    for (const UnitRecord& unit : job) {
      unknown += unit.unknown;
      tokens += unit.training.tokens + unit.held_out.tokens;
      any_examples = any_examples || unit.training.shard || unit.training.rest;
    }
  }
  if (!any_examples) setup.folder.remove();
  // The held-out set lies inside the training set's folder, whose index comes last of all.
  std::string held_out;
  if (setup.options.held_out > 0) {
    std::filesystem::remove(setup.folder.held_out() / kIndexFile);
    held_out = assemble_folder(setup, setup.folder.held_out(), setup.held_out, units,
                               &UnitRecord::held_out);
  }
  const std::string training =
      assemble_folder(setup, setup.folder.output(), setup.training, units, &UnitRecord::training);
  return concat(training, held_out, skipped(units), "unknown words: ", unknown, " of ", tokens,
                " tokens\n");
}

}  // namespace funnel::shard_tool
