// SPDX-License-Identifier: Apache-2.0
// Does one job of a build: reads its text, cuts it into units of about a shard each, tokenises and
// packs every unit by itself, and writes its shards, its rests and last its record. The bits depend
// on the options, the text and the job's number alone.
#pragma once

#include <cstdint>
#include <vector>

#include "data/packing.h"
#include "data/text_documents.h"
#include "data/tokenizer.h"
#include "tools/funnel_shard/build_plan.h"
#include "tools/funnel_shard/progress.h"
#include "tools/funnel_shard/unit_examples.h"

namespace funnel::shard_tool {

class JobBuilder {
 public:
  JobBuilder(const BuildSetup& setup, Tokenizer& tokenizer, Progress& progress)
      : setup_(setup), tokenizer_(tokenizer), progress_(progress) {}

  // Builds the units of a job from number `finished` on; passes over the text of those before.
  void build(const Job& job, int64_t number, int64_t finished);

 private:
  struct Unit;

  bool next_document(DocumentReader& reader, const Job& job);
  bool read_unit(DocumentReader& reader, const Job& job, Unit& unit);
  void skip_unit(DocumentReader& reader, const Job& job, int64_t number, int64_t part);
  void tokenise(const DocumentReader& reader, TextDocument& document, Unit& unit);
  void write(Unit& unit);
  void count(const DocumentReader& reader, int64_t tokens);

  const BuildSetup& setup_;
  Tokenizer& tokenizer_;
  Progress& progress_;
  TextDocument document_;
  std::vector<int32_t> ids_;
  std::string text_digest_;          // of a stream so far
  std::vector<int64_t> duplicates_;  // the job's documents to drop, ascending
  int64_t documents_ = 0;            // of the job so far, the dropped ones included
  int64_t dropped_ = 0;
  int64_t counted_taken_ = 0;
  int64_t counted_bytes_ = 0;
};

}  // namespace funnel::shard_tool
