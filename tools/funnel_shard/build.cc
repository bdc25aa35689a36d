// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "parallel/mpi_comm.h"
#include "parallel/together.h"
#include "tools/funnel_shard/assemble.h"
#include "tools/funnel_shard/build_options.h"
#include "tools/funnel_shard/build_plan.h"
#include "tools/funnel_shard/commands.h"
#include "tools/funnel_shard/duplicates.h"
#include "tools/funnel_shard/import_job.h"
#include "tools/funnel_shard/job_builder.h"
#include "tools/funnel_shard/report.h"
#include "tools/funnel_shard/throughput.h"

namespace funnel::shard_tool {
namespace {

void check(const BuildOptions& options) {
  FUNNEL_CHECK_INPUT(options.held_out >= 0 && options.held_out < 1,
                     "--held-out: expected at least 0 and below 1, found ", options.held_out);
  FUNNEL_CHECK_INPUT(options.passes >= 1, "--passes: expected at least 1, found ", options.passes);
  FUNNEL_CHECK_INPUT(options.chunk_rows >= 1 && options.chunk_rows <= 65536,
                     "--chunk-rows: expected 1 to 65536, found ", options.chunk_rows);
  FUNNEL_CHECK_INPUT(options.seq_len >= 8 && options.seq_len <= 65535,
                     "seq_len: expected 8 to 65535, found ", options.seq_len);
  // Ids of a shard are packed and written at once, in memory.
  FUNNEL_CHECK_INPUT(
      options.shard_rows >= 1 && options.shard_rows <= 2'000'000'000 / options.seq_len,
      "--shard-rows: expected 1 to ", 2'000'000'000 / options.seq_len, " at this length, found ",
      options.shard_rows);
}

bool is_ready(const TextFile& file) {
  return file.format == TextFormat::hdf5;
}

// Ready examples are taken as they are.
void check_ready_examples(const BuildOptions& options, const std::vector<TextFile>& files) {
  const auto ready = std::find_if(files.begin(), files.end(), is_ready);
  if (ready == files.end()) return;
  const std::string name = ready->path.string();
  const auto text = std::find_if_not(files.begin(), files.end(), is_ready);
  FUNNEL_CHECK_INPUT(text == files.end(), name,
                     ": ready examples in HDF5, which cannot be mixed "
                     "with the text of ",
                     name_of_input(text->path), "; build two data sets");
  FUNNEL_CHECK_INPUT(options.held_out == 0 && options.passes == 1 && !options.deduplicate, name,
                     ": --held-out, --passes and --deduplicate are for text; these are ready "
                     "examples in HDF5");
}

// Says what is strange about the inputs, and throws when they cannot hold any text.
void check_inputs(const std::vector<TextFile>& files) {
  int64_t empty = 0;
  for (const TextFile& file : files) {
    if (file.stream || file.bytes > 0) continue;
    if (empty++ == 0) std::cerr << file.path.string() << ": empty\n";
  }
  if (empty > 1) std::cerr << "empty files: " << empty << '\n';
  FUNNEL_CHECK_INPUT(empty < static_cast<int64_t>(files.size()),
                     "expected text, found nothing but empty files");
}

// "a.txt, b.txt and 3 more", unless the user said something better.
std::string source_of(const BuildOptions& options, const std::vector<TextFile>& files) {
  if (!options.source.empty()) return options.source;
  constexpr size_t kNamed = 8;
  std::string text;
  for (size_t i = 0; i < std::min(files.size(), kNamed); ++i) {
    text += concat(i == 0 ? "" : ", ", name_of_input(files[i].path.filename()));
  }
  return files.size() <= kNamed ? text : concat(text, " and ", files.size() - kNamed, " more");
}

// Rank 0 looks at the inputs and the folder; all ranks get the plan it made.
std::string shared_plan(const BuildOptions& options, const Vocabulary& vocabulary, Comm& comm,
                        WorkFolder& folder) {
  std::string plan;
  together(comm, [&] {
    if (comm.rank() != 0) return;
    const std::vector<TextFile> files = options.text.files();
    check_inputs(files);
    check_ready_examples(options, files);
    plan = plan_text(options, vocabulary.digest(), files);
    folder.begin(plan, options.held_out > 0, options.start_over);
  });
  broadcast_text(comm, plan, 0);
  return plan;
}

// How many units of each job are finished, -1 for a whole job; the same on all ranks.
std::vector<int32_t> shared_finished_units(const WorkFolder& folder, int64_t jobs, Comm& comm) {
  std::vector<int32_t> finished(static_cast<size_t>(jobs), 0);
  together(comm, [&] {
    if (comm.rank() != 0) return;
    const auto units = folder.finished_units(jobs);
    for (size_t job = 0; job < units.size(); ++job) {
      const bool whole = !units[job].empty() && units[job].back().last;
      finished[job] = whole ? -1 : static_cast<int32_t>(units[job].size());
    }
  });
  comm.broadcast(Tensor(finished.data(), {jobs}, DType::i32), 0);
  return finished;
}

BuildSetup make_setup(const BuildOptions& options, const Vocabulary& vocabulary,
                      const std::vector<TextFile>& files, const WorkFolder& folder) {
  BuildSetup setup{
      .options = options,
      .vocabulary = vocabulary,
      .training = {.seq_len = options.seq_len,
                   .vocab = vocabulary.size(),
                   .vocab_sha256 = vocabulary.digest(),
                   .special = vocabulary.special(),
                   .tokenizer = options.tokenizer.config(),
                   .packing = is_ready(files.front()) ? PackingMode::imported : options.packing,
                   .seed = options.seed,
                   .passes = options.passes,
                   .chunk_rows = options.chunk_rows,
                   .source = source_of(options, files),
                   .shards = {}},
      .held_out = {},
      .folder = folder};
  setup.held_out = setup.training;
  setup.held_out.passes = 1;
  return setup;
}

// This rank's share of the jobs. Returns what all ranks did, on rank 0.
WorkDone build_jobs(const BuildSetup& setup, const std::vector<Job>& jobs,
                    const std::vector<int32_t>& finished, const World& world) {
  std::vector<bool> done(jobs.size());
  int64_t to_read = 0;
  for (size_t job = 0; job < jobs.size(); ++job) {
    done[job] = finished[job] < 0;
    if (!done[job]) to_read += jobs[job].bytes;
  }
  const std::vector<int> rank_of = assign_jobs(jobs, done, world.size());
  Tokenizer tokenizer(setup.vocabulary, setup.options.tokenizer.config());
  Progress progress(world, "build", to_read);
  JobBuilder builder(setup, tokenizer, progress);
  for (size_t job = 0; job < jobs.size(); ++job) {
    if (done[job] || rank_of[job] != world.rank()) continue;
    const auto number = static_cast<int64_t>(job);
    jobs[job].ready_examples() ? import_job(setup, jobs[job], number, finished[job], progress)
                               : builder.build(jobs[job], number, finished[job]);
  }
  return progress.finish();
}

void build(const BuildOptions& options, const World& world) {
  const Throughput throughput;
  MpiComm comm(world);
  std::optional<Vocabulary> vocabulary;
  together(comm, [&] { vocabulary = Vocabulary::read(options.vocab); });
  WorkFolder folder(options.output);
  const std::vector<TextFile> files =
      files_of_plan(shared_plan(options, *vocabulary, comm, folder));
  const std::vector<Job> jobs = cut_into_jobs(files, shard_text_bytes(options));
  const auto job_count = static_cast<int64_t>(jobs.size());
  const BuildSetup setup = make_setup(options, *vocabulary, files, folder);
  if (options.deduplicate) find_duplicates(setup, jobs, world, comm);
  const std::vector<int32_t> finished = shared_finished_units(folder, job_count, comm);
  const WorkDone done = build_jobs(setup, jobs, finished, world);
  together(comm, [&] {
    if (world.rank() != 0) return;
    const std::string summary = assemble(setup, folder.finished_units(job_count));
    std::cout << throughput.line(done.text_bytes, static_cast<double>(done.cpu_milliseconds) / 1e3)
              << '\n'
              << summary;
  });
  const std::string report = write_report(options.output, comm);
  const bool has_held_out = options.held_out > 0;
  const std::string held_out =
      has_held_out ? write_report(options.output / kHeldOutFolder, comm) : "";
  if (world.rank() != 0) return;
  folder.remove();
  std::cout << '\n' << report << (has_held_out ? "\nheld out\n" : "") << held_out;
}

void run(const BuildOptions& options) {
  check(options);
  World world;
  try {
    build(options, world);
  } catch (const SharedError& error) {
    // All ranks have it; one tells.
    if (world.rank() != 0) throw Error("", error.exit_code());
    throw;
  } catch (const Error& error) {
    if (world.size() == 1) throw;
    throw Error(concat("rank ", world.rank(), ": ", error.what()), error.exit_code());
  }
}

const std::map<std::string, PackingMode> kPackingNames{{"pairs", PackingMode::segment_pairs},
                                                       {"sentences", PackingMode::sentences},
                                                       {"electra", PackingMode::electra}};

void add_shape_options(CLI::App& command, BuildOptions& options) {
  command
      .add_option("--packing", options.packing,
                  "pairs: two segments, always full, as Funnel-Transformer (default); sentences: "
                  "one segment of whole sentences, as RoBERTa; electra: one or two segments of one "
                  "document, some short")
      ->transform(CLI::CheckedTransformer(kPackingNames))
      ->type_name("pairs|sentences|electra");
  command.add_option("--seq-len", options.seq_len, "Tokens in an example")->capture_default_str();
  command
      .add_option("--passes", options.passes,
                  "Pack the text so many times, each time with other cuts")
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Of the packing")->capture_default_str();
  command
      .add_option("--held-out", options.held_out,
                  "Fraction of the documents, chosen by their text, that goes into the data "
                  "set DIR/held_out for evaluation instead")
      ->capture_default_str();
  command
      .add_option("--shard-rows", options.shard_rows,
                  "About so many examples in a shard. A rank holds one in "
                  "memory, with about 16 bytes a token")
      ->capture_default_str();
  command
      .add_option("--chunk-rows", options.chunk_rows,
                  "Examples stored, checked and shuffled together")
      ->capture_default_str();
}

}  // namespace

void add_build(CLI::App& app) {
  CLI::App* command = app.add_subcommand("build", "Tokenise text and pack it into HDF5 shards");
  const auto options = std::make_shared<BuildOptions>();
  add_text_options(*command, options->text);
  command->add_option("--vocab", options->vocab, "Vocabulary: BERT's vocab.txt or of `vocab`")
      ->required();
  command->add_option("--output", options->output, "The data folder to make")->required();
  add_shape_options(*command, *options);
  add_tokenizer_options(*command, options->tokenizer);
  command->add_option("--source", options->source,
                      "What the text is, for people (default: the files' names)");
  command->add_flag(
      "--deduplicate", options->deduplicate,
      "Drop documents whose text was there before. Reads the text twice; rank 0 takes "
      "20 bytes of memory a document");
  command->add_flag("--start-over", options->start_over,
                    "Remove what an unfinished build left in DIR (default: go on with it)");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
