// SPDX-License-Identifier: Apache-2.0
#include "data/data_index.h"

#include "core/base/error.h"
#include "data/durable_file.h"
#include "data/text_fields.h"

namespace funnel {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 40;

// The one message of this name.
TextFields message(const TextFields& fields, std::string_view name) {
  std::vector<TextFields> found = fields.messages(name);
  FUNNEL_CHECK_INPUT(found.size() == 1, fields.source(), ": field '", name,
                     "': expected once, found ", found.size(), " times");
  return std::move(found.front());
}

int64_t integer_in(const TextFields& fields, std::string_view name, int64_t low, int64_t high) {
  const int64_t value = fields.integer(name);
  FUNNEL_CHECK_INPUT(value >= low && value <= high, fields.source(), ": field '", name,
                     "': expected ", low, " to ", high, ", found ", value);
  return value;
}

ShardEntry parse_shard(const TextFields& fields) {
  fields.allow_only({"file", "rows", "bytes", "sha256"});
  ShardEntry shard{.file = fields.text("file"),
                   .rows = integer_in(fields, "rows", 1, kMaxSize),
                   .bytes = integer_in(fields, "bytes", 1, INT64_MAX),
                   .sha256 = fields.text("sha256")};
  FUNNEL_CHECK_INPUT(shard.file.find('/') == std::string::npos && !shard.file.empty(),
                     fields.source(), ":", fields.line(),
                     ": field 'file': expected a name without '/', found '", shard.file, "'");
  return shard;
}

void check_sums(const DataIndex& index, const std::string& source) {
  int64_t rows = 0;
  for (size_t i = 0; i < index.shards.size(); ++i) {
    const ShardEntry& shard = index.shards[i];
    rows += shard.rows;
    FUNNEL_CHECK_INPUT(i + 1 == index.shards.size() || shard.rows % index.chunk_rows == 0, source,
                       ": shard '", shard.file,
                       "': expected a multiple of chunk_rows = ", index.chunk_rows, " rows, found ",
                       shard.rows);
  }
  FUNNEL_CHECK_INPUT(rows == index.examples, source, ": field 'examples': expected ", rows,
                     ", the sum of the shards' rows, found ", index.examples);
}

void parse_vocabulary(const TextFields& fields, DataIndex& index) {
  fields.allow_only({"size", "sha256", "pad", "unk", "cls", "sep", "mask"});
  index.vocab = integer_in(fields, "size", 5, INT32_MAX);
  index.vocab_sha256 = fields.text("sha256");
  const auto id = [&](std::string_view name) {
    return static_cast<int32_t>(integer_in(fields, name, 0, index.vocab - 1));
  };
  index.special = {id("pad"), id("unk"), id("cls"), id("sep"), id("mask")};
}

}  // namespace

std::string to_text(const DataIndex& index) {
  TextFieldWriter out;
  out.integer("format_version", kDataFormatVersion);
  out.integer("seq_len", index.seq_len);
  out.integer("examples", index.examples);
  out.integer("tokens", index.tokens);
  out.integer("chunk_rows", index.chunk_rows);
  out.text("source", index.source);
  out.open("vocabulary");
  out.integer("size", index.vocab);
  out.text("sha256", index.vocab_sha256);
  out.integer("pad", index.special.pad);
  out.integer("unk", index.special.unk);
  out.integer("cls", index.special.cls);
  out.integer("sep", index.special.sep);
  out.integer("mask", index.special.mask);
  out.close();
  out.open("tokenizer");
  out.integer("lower_case", index.tokenizer.lower_case ? 1 : 0);
  out.integer("strip_accents", index.tokenizer.strip_accents ? 1 : 0);
  out.integer("max_word_chars", index.tokenizer.max_word_chars);
  out.close();
  out.open("packing");
  out.text("mode", std::string(name_of(index.packing)));
  out.natural("seed", index.seed);
  out.integer("passes", index.passes);
  out.close();
  for (const ShardEntry& shard : index.shards) {
    out.open("shard");
    out.text("file", shard.file);
    out.integer("rows", shard.rows);
    out.integer("bytes", shard.bytes);
    out.text("sha256", shard.sha256);
    out.close();
  }
  return out.str();
}

DataIndex parse_data_index(std::string_view text, const std::string& source) {
  const TextFields fields = TextFields::parse(text, source);
  integer_in(fields, "format_version", kDataFormatVersion, kDataFormatVersion);
  fields.allow_only({"format_version", "seq_len", "examples", "tokens", "chunk_rows", "source",
                     "vocabulary", "tokenizer", "packing", "shard"});
  DataIndex index;
  index.seq_len = integer_in(fields, "seq_len", 8, 65535);
  index.examples = integer_in(fields, "examples", 1, kMaxSize);
  index.tokens = fields.integer("tokens");
  index.chunk_rows = integer_in(fields, "chunk_rows", 1, 65536);
  index.source = fields.text("source");
  parse_vocabulary(message(fields, "vocabulary"), index);
  const TextFields tokenizer = message(fields, "tokenizer");
  tokenizer.allow_only({"lower_case", "strip_accents", "max_word_chars"});
  index.tokenizer.lower_case = integer_in(tokenizer, "lower_case", 0, 1) == 1;
  index.tokenizer.strip_accents = integer_in(tokenizer, "strip_accents", 0, 1) == 1;
  index.tokenizer.max_word_chars = integer_in(tokenizer, "max_word_chars", 1, kMaxSize);
  const TextFields packing = message(fields, "packing");
  packing.allow_only({"mode", "seed", "passes"});
  index.packing = packing_mode_of(packing.text("mode"), concat(source, ": field 'mode'"));
  index.seed = packing.natural("seed");
  index.passes = integer_in(packing, "passes", 1, kMaxSize);
  for (const TextFields& shard : fields.messages("shard")) {
    index.shards.push_back(parse_shard(shard));
  }
  check_sums(index, source);
  return index;
}

DataIndex read_data_index(const std::filesystem::path& folder) {
  FUNNEL_CHECK_INPUT(std::filesystem::is_directory(folder), folder.string(),
                     ": expected a data folder, found ",
                     std::filesystem::exists(folder) ? "a file" : "nothing");
  const std::filesystem::path path = folder / kIndexFile;
  FUNNEL_CHECK_INPUT(std::filesystem::exists(path), path.string(),
                     ": no such file; a data folder without it is incomplete");
  return parse_data_index(read_text_file(path), path.string());
}

}  // namespace funnel
