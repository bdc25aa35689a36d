// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/job_builder.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/digest.h"
#include "tools/funnel_shard/duplicates.h"

namespace funnel::shard_tool {
namespace {

// Every unit of a job is packed with draws of its own.
int64_t packing_group(int64_t job, int64_t part) {
  return job << 20 | part;
}

Examples pack_all(const TokenizedDocuments& documents, const DataIndex& index, int64_t group) {
  const PackingConfig config{.mode = index.packing,
                             .seq_len = index.seq_len,
                             .special = index.special,
                             .seed = index.seed};
  Examples examples;
  for (int64_t pass = 0; pass < index.passes; ++pass) {
    pack(documents, config, group, pass,
         [&](std::span<const int32_t> ids, int64_t a) { examples.add(ids, a); });
  }
  return examples;
}

}  // namespace

struct JobBuilder::Unit {
  UnitRecord record;
  TokenizedDocuments training;
  TokenizedDocuments held_out;
};

void JobBuilder::build(const Job& job, int64_t number, int64_t finished) {
  DocumentReader reader(job.pieces, setup_.options.text.options);
  text_digest_.clear();
  duplicates_.clear();
  if (setup_.options.deduplicate) duplicates_ = duplicates_of(setup_.folder, number);
  documents_ = dropped_ = 0;
  counted_taken_ = counted_bytes_ = 0;
  for (int64_t part = 0; part < finished; ++part) skip_unit(reader, job, number, part);
  for (int64_t part = finished;; ++part) {
    Unit unit;
    unit.record.job = number;
    unit.record.part = part;
    const int64_t bad_lines = reader.bad_lines(), dropped = dropped_;
    unit.record.last = !read_unit(reader, job, unit);
    unit.record.duplicates = dropped_ - dropped;
    unit.record.bad_lines = reader.bad_lines() - bad_lines;
    if (unit.record.bad_lines > 0) unit.record.first_bad_line = reader.first_bad_line();
    unit.record.text_digest = text_digest_;
    write(unit);
    count(reader, 0);
    progress_.add({.units = 1});
    if (unit.record.last) return;
  }
}

// The job's next document that is no duplicate.
bool JobBuilder::next_document(DocumentReader& reader, const Job& job) {
  while (reader.next(document_)) {
    if (job.stream) text_digest_ = sha256(concat(text_digest_, document_.text()));
    const int64_t number = documents_++;
    const auto next_duplicate = static_cast<size_t>(dropped_);
    if (next_duplicate == duplicates_.size() || duplicates_[next_duplicate] != number) return true;
    ++dropped_;
  }
  return false;
}

// Reads until the unit has its bytes of text; false at the end of the job.
bool JobBuilder::read_unit(DocumentReader& reader, const Job& job, Unit& unit) {
  // A quarter more than planned, so that a job of cut files is one unit.
  const int64_t begin = reader.bytes(), limit = shard_text_bytes(setup_.options) / 4 * 5;
  while (reader.bytes() - begin < limit) {
    if (!next_document(reader, job)) return false;
    tokenise(reader, document_, unit);
    unit.record.bytes = reader.bytes() - begin;
  }
  return true;
}

// Passes over the text of a unit that an earlier life of the build finished.
void JobBuilder::skip_unit(DocumentReader& reader, const Job& job, int64_t number, int64_t part) {
  const UnitRecord record = setup_.folder.read(number, part);
  const int64_t begin = reader.bytes();
  while (reader.bytes() - begin < record.bytes && next_document(reader, job)) count(reader, 0);
  FUNNEL_CHECK_INPUT(text_digest_ == record.text_digest && reader.bytes() - begin == record.bytes,
                     name_of_input(job.pieces.front().file.path),
                     ": expected the text that the unfinished build has read, found another; "
                     "--start-over begins anew");
}

void JobBuilder::tokenise(const DocumentReader& reader, TextDocument& document, Unit& unit) {
  const double fraction = setup_.options.held_out;
  const bool held_out = fraction > 0 && document.hash01() < fraction;
  TokenizedDocuments& documents = held_out ? unit.held_out : unit.training;
  int64_t tokens = 0;
  for (int64_t i = 0; i < document.lines(); ++i) {
    ids_.clear();
    try {
      tokens += tokenizer_.encode(document.line(i), document.place(i), ids_);
    } catch (const Error&) {
      // Only now is it worth the time to find out which line of the file this is.
      reader.count_lines_before(document);
      tokenizer_.encode(document.line(i), document.place(i), ids_);
      throw;
    }
    unit.record.unknown += std::count(ids_.begin(), ids_.end(), setup_.vocabulary.special().unk);
    documents.add_sentence(ids_);
  }
  documents.end_document();
  count(reader, tokens);
}

void JobBuilder::write(Unit& unit) {
  UnitRecord& record = unit.record;
  const int64_t group = packing_group(record.job, record.part);
  record.training.documents = unit.training.documents();
  record.training.tokens = unit.training.tokens();
  write_training(setup_, pack_all(unit.training, setup_.training, group), record);
  record.held_out.documents = unit.held_out.documents();
  record.held_out.tokens = unit.held_out.tokens();
  write_held_out(setup_, pack_all(unit.held_out, setup_.held_out, group), record);
  setup_.folder.write(record);
}

void JobBuilder::count(const DocumentReader& reader, int64_t tokens) {
  progress_.add({.stored_bytes = reader.taken() - counted_taken_,
                 .text_bytes = reader.bytes() - counted_bytes_,
                 .tokens = tokens});
  counted_taken_ = reader.taken();
  counted_bytes_ = reader.bytes();
}

}  // namespace funnel::shard_tool
