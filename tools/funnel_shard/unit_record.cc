// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/unit_record.h"

#include "core/base/error.h"
#include "data/text_fields.h"

namespace funnel::shard_tool {
namespace {

std::string padded(int64_t number, size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(text.size() < digits ? digits - text.size() : 0, '0') + text;
}

void write_entry(TextFieldWriter& out, const char* name, const std::optional<ShardEntry>& entry) {
  if (!entry) return;
  out.open(name);
  out.text("file", entry->file);
  out.integer("rows", entry->rows);
  out.integer("bytes", entry->bytes);
  out.text("sha256", entry->sha256);
  out.close();
}

std::optional<ShardEntry> read_entry(const TextFields& share, const char* name) {
  const std::vector<TextFields> found = share.messages(name);
  if (found.empty()) return std::nullopt;
  const TextFields& fields = found.front();
  return ShardEntry{.file = fields.text("file"),
                    .rows = fields.integer("rows"),
                    .bytes = fields.integer("bytes"),
                    .sha256 = fields.text("sha256")};
}

void write_share(TextFieldWriter& out, const char* name, const UnitShare& share) {
  out.open(name);
  out.integer("documents", share.documents);
  out.integer("tokens", share.tokens);
  write_entry(out, "shard", share.shard);
  write_entry(out, "rest", share.rest);
  out.close();
}

UnitShare read_share(const TextFields& record, const char* name) {
  const std::vector<TextFields> found = record.messages(name);
  FUNNEL_CHECK_INPUT(found.size() == 1, record.source(), ": expected one '", name, "', found ",
                     found.size());
  return {.documents = found.front().integer("documents"),
          .tokens = found.front().integer("tokens"),
          .shard = read_entry(found.front(), "shard"),
          .rest = read_entry(found.front(), "rest")};
}

}  // namespace

std::string unit_name(int64_t job, int64_t part) {
  return part == 0 ? padded(job, 5) : concat(padded(job, 5), "-", padded(part, 4));
}

std::string to_text(const UnitRecord& record) {
  TextFieldWriter out;
  out.integer("job", record.job);
  out.integer("part", record.part);
  out.integer("last", record.last);
  out.integer("bytes", record.bytes);
  out.integer("unknown", record.unknown);
  out.integer("bad_lines", record.bad_lines);
  out.integer("duplicates", record.duplicates);
  out.text("first_bad_line", record.first_bad_line);
  out.text("text_digest", record.text_digest);
  write_share(out, "training", record.training);
  write_share(out, "held_out", record.held_out);
  return out.str();
}

UnitRecord parse_unit_record(const std::string& text, const std::string& source) {
  const TextFields fields = TextFields::parse(text, source);
  return {.job = fields.integer("job"),
          .part = fields.integer("part"),
          .last = fields.integer("last") == 1,
          .bytes = fields.integer("bytes"),
          .unknown = fields.integer("unknown"),
          .bad_lines = fields.integer("bad_lines"),
          .duplicates = fields.integer("duplicates"),
          .first_bad_line = fields.text("first_bad_line"),
          .text_digest = fields.text("text_digest"),
          .training = read_share(fields, "training"),
          .held_out = read_share(fields, "held_out")};
}

}  // namespace funnel::shard_tool
