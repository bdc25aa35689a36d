// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/import_job.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/bert_examples.h"

namespace funnel::shard_tool {
namespace {

struct Rows {
  int64_t begin, end;
};

// Reads rows of the file into `examples` and counts them in the record.
void read_rows(BertExampleReader& reader, const std::string& file, Rows rows,
               const BuildSetup& setup, Examples& examples, UnitRecord& record) {
  const SpecialIds& special = setup.vocabulary.special();
  const int64_t seq_len = setup.training.seq_len;
  std::vector<int32_t> padded(static_cast<size_t>(seq_len));
  BertExample example;
  reader.seek(rows.begin);
  for (int64_t row = rows.begin; row < rows.end && reader.next(example); ++row) {
    const auto size = static_cast<int64_t>(example.ids.size());
    FUNNEL_CHECK_INPUT(size <= seq_len, file, ": row ", row,
                       ": expected at most --seq-len = ", seq_len, " tokens, found ", size);
    std::fill(std::copy(example.ids.begin(), example.ids.end(), padded.begin()), padded.end(),
              special.pad);
    examples.add(padded, example.segment_a_length);
    // All but [CLS] and one or two [SEP].
    record.training.tokens += size - (example.segment_a_length + 2 < size ? 3 : 2);
    record.unknown += std::count(example.ids.begin(), example.ids.end(), special.unk);
    ++record.training.documents;
  }
}

}  // namespace

void import_job(const BuildSetup& setup, const Job& job, int64_t number, int64_t finished,
                Progress& progress) {
  const std::string file = job.pieces.front().file.path.string();
  BertExampleReader reader(job.pieces.front().file.path, setup.vocabulary);
  const int64_t chunk = setup.training.chunk_rows;
  const int64_t unit_rows = (setup.options.shard_rows + chunk - 1) / chunk * chunk;
  for (int64_t part = finished;; ++part) {
    const Rows rows{std::min(part * unit_rows, reader.rows()),
                    std::min((part + 1) * unit_rows, reader.rows())};
    UnitRecord record;
    record.job = number;
    record.part = part;
    record.last = rows.end == reader.rows();
    Examples examples;
    read_rows(reader, file, rows, setup, examples, record);
    write_training(setup, examples, record);
    setup.folder.write(record);
    const int64_t all = std::max<int64_t>(1, reader.rows());
    progress.add({.stored_bytes = job.bytes * rows.end / all - job.bytes * rows.begin / all,
                  .tokens = record.training.tokens,
                  .units = 1});
    if (record.last) return;
  }
}

}  // namespace funnel::shard_tool
