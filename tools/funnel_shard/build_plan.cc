// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/build_plan.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "data/text_fields.h"

namespace funnel::shard_tool {
namespace {

// English prose has 4.4 bytes a WordPiece token.
constexpr double kBytesPerToken = 4.4;
constexpr int64_t kUnpacking = 4;  // bytes of text in a compressed byte

bool can_be_cut(const TextFile& file) {
  return !file.stream && file.compression == Compression::none && file.format != TextFormat::hdf5;
}

// Cuts a run of files that can be cut into equal jobs.
void cut_run(std::span<const TextFile> files, int64_t text_bytes, std::vector<Job>& jobs) {
  int64_t total = 0;
  for (const TextFile& file : files) total += file.bytes;
  const int64_t count = (total + text_bytes - 1) / text_bytes;
  int64_t file_begin = 0;
  size_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = total / count, more = total % count;
    const int64_t begin = i * size + std::min(i, more);
    const int64_t end = begin + size + (i < more ? 1 : 0);
    Job job{.pieces = {}, .bytes = end - begin, .work = end - begin};
    for (; at < files.size() && file_begin < end; ++at) {
      const int64_t file_end = file_begin + files[at].bytes;
      const int64_t first = std::max(begin, file_begin), last = std::min(end, file_end);
      if (first < last) job.pieces.emplace_back(files[at], first - file_begin, last - file_begin);
      if (file_end > end) break;
      file_begin = file_end;
    }
    jobs.push_back(std::move(job));
  }
}

}  // namespace

int64_t shard_text_bytes(const BuildOptions& options) {
  const double tokens = static_cast<double>(options.shard_rows * options.seq_len);
  return std::max<int64_t>(
      1, static_cast<int64_t>(tokens * kBytesPerToken / static_cast<double>(options.passes)));
}

std::vector<Job> cut_into_jobs(const std::vector<TextFile>& files, int64_t text_bytes) {
  std::vector<Job> jobs;
  Job open;  // of compressed files
  const auto close = [&] {
    if (!open.pieces.empty()) jobs.push_back(std::move(open));
    open = Job();
  };
  for (size_t i = 0; i < files.size();) {
    size_t end = i;
    while (end < files.size() && can_be_cut(files[end])) ++end;
    if (end > i) {
      close();
      cut_run(std::span(files).subspan(i, end - i), text_bytes, jobs);
      i = end;
      continue;
    }
    const TextFile& file = files[i++];
    const bool alone = file.stream || file.format == TextFormat::hdf5;
    if (alone) close();
    open.pieces.emplace_back(file);
    open.bytes += file.bytes;
    open.work += file.bytes * (file.compression == Compression::none ? 1 : kUnpacking);
    open.stream = file.stream;
    if (alone || open.work >= text_bytes) close();
  }
  close();
  return jobs;
}

std::vector<int> assign_jobs(const std::vector<Job>& jobs, const std::vector<bool>& finished,
                             int ranks) {
  std::vector<size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return jobs[a].work > jobs[b].work; });
  std::vector<int64_t> work(static_cast<size_t>(ranks), 0);
  std::vector<int> rank_of(jobs.size(), 0);
  for (size_t job : order) {
    if (finished[job] || jobs[job].stream) continue;
    const auto least = std::min_element(work.begin(), work.end());
    rank_of[job] = static_cast<int>(least - work.begin());
    *least += jobs[job].work;
  }
  return rank_of;
}

std::string plan_text(const BuildOptions& options, const std::string& vocab_sha256,
                      const std::vector<TextFile>& files) {
  TextFieldWriter out;
  out.integer("seq_len", options.seq_len);
  out.integer("shard_rows", options.shard_rows);
  out.integer("chunk_rows", options.chunk_rows);
  out.text("packing", std::string(name_of(options.packing)));
  out.integer("passes", options.passes);
  out.natural("seed", options.seed);
  out.text("held_out", concat(options.held_out));
  out.text("vocab_sha256", vocab_sha256);
  const TokenizerConfig tokenizer = options.tokenizer.config();
  out.integer("lower_case", tokenizer.lower_case);
  out.integer("strip_accents", tokenizer.strip_accents);
  out.integer("max_word_chars", tokenizer.max_word_chars);
  out.text("text_field", options.text.options.text_field);
  out.integer("skip_bad", options.text.options.skip_bad);
  out.integer("deduplicate", options.deduplicate);
  out.text("source", options.source);
  for (const TextFile& file : files) {
    out.open("file");
    out.text("path", file.path.string());
    out.integer("bytes", file.bytes);
    out.text("modified", std::to_string(file.modified));
    out.integer("format", static_cast<int64_t>(file.format));
    out.integer("compression", static_cast<int64_t>(file.compression));
    out.integer("stream", file.stream);
    out.close();
  }
  return out.str();
}

std::vector<TextFile> files_of_plan(const std::string& plan) {
  std::vector<TextFile> files;
  for (const TextFields& file : TextFields::parse(plan, "the plan of the build").messages("file")) {
    files.push_back({.path = file.text("path"),
                     .bytes = file.integer("bytes"),
                     .modified = std::stoll(file.text("modified")),
                     .format = static_cast<TextFormat>(file.integer("format")),
                     .compression = static_cast<Compression>(file.integer("compression")),
                     .stream = file.integer("stream") == 1});
  }
  return files;
}

}  // namespace funnel::shard_tool
