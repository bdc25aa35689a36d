// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/duplicates.h"

#include <cstring>

#include "core/base/error.h"
#include "data/digest_set.h"
#include "data/durable_file.h"
#include "parallel/together.h"

namespace funnel::shard_tool {
namespace {

namespace fs = std::filesystem;

fs::path digests_file(const WorkFolder& folder, int64_t job) {
  return folder.path() / concat("digests-", unit_name(job, 0));
}

fs::path duplicates_file(const WorkFolder& folder, int64_t job) {
  return folder.path() / concat("duplicates-", unit_name(job, 0));
}

template <class T>
void write_values(const fs::path& file, const std::vector<T>& values) {
  write_durably(file, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

template <class T>
std::vector<T> read_values(const fs::path& file) {
  const std::vector<char> bytes = read_file(file);
  FUNNEL_CHECK_INPUT(bytes.size() % sizeof(T) == 0, file.string(), ": expected a multiple of ",
                     sizeof(T), " bytes, found ", bytes.size());
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The documents' digests of one job.
std::vector<Digest128> digests_of(const BuildOptions& options, const Job& job, Progress& progress) {
  std::vector<Digest128> digests;
  DocumentReader reader(job.pieces, options.text.options);
  TextDocument document;
  int64_t taken = 0, bytes = 0;
  while (reader.next(document)) {
    digests.push_back(digest128(document.text()));
    progress.add({.stored_bytes = reader.taken() - taken, .text_bytes = reader.bytes() - bytes});
    taken = reader.taken();
    bytes = reader.bytes();
  }
  progress.add({.stored_bytes = reader.taken() - taken, .units = 1});
  return digests;
}

void digest_jobs(const BuildSetup& setup, const std::vector<Job>& jobs, const World& world) {
  int64_t bytes = 0;
  for (const Job& job : jobs) bytes += job.bytes;
  const std::vector<int> rank_of =
      assign_jobs(jobs, std::vector<bool>(jobs.size(), false), world.size());
  Progress progress(world, "look for duplicates", bytes);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const fs::path file = digests_file(setup.folder, static_cast<int64_t>(i));
    if (rank_of[i] != world.rank() || fs::exists(file)) continue;
    write_values(file, digests_of(setup.options, jobs[i], progress));
  }
  progress.finish();
}

// In the order of the inputs, so that the first of equal documents stays.
void compare_digests(const WorkFolder& folder, int64_t jobs) {
  int64_t documents = 0;
  for (int64_t job = 0; job < jobs; ++job) {
    documents += static_cast<int64_t>(fs::file_size(digests_file(folder, job)) / sizeof(Digest128));
  }
  DigestSet seen(documents);
  for (int64_t job = 0; job < jobs; ++job) {
    const auto digests = read_values<Digest128>(digests_file(folder, job));
    std::vector<int64_t> repeated;
    for (size_t i = 0; i < digests.size(); ++i) {
      if (!seen.insert(digests[i])) repeated.push_back(static_cast<int64_t>(i));
    }
    write_values(duplicates_file(folder, job), repeated);
  }
}

}  // namespace

void find_duplicates(const BuildSetup& setup, const std::vector<Job>& jobs, const World& world,
                     Comm& comm) {
  for (const Job& job : jobs) {
    FUNNEL_CHECK_INPUT(!job.stream, name_of_input(job.pieces.front().file.path),
                       ": --deduplicate reads the text twice; give files instead");
  }
  const auto count = static_cast<int64_t>(jobs.size());
  int32_t found = world.rank() == 0 && fs::exists(duplicates_file(setup.folder, count - 1));
  comm.broadcast(Tensor(&found, {1}, DType::i32), 0);
  if (found != 0) return;
  digest_jobs(setup, jobs, world);
  together(comm, [&] {
    if (world.rank() == 0) compare_digests(setup.folder, count);
  });
}

std::vector<int64_t> duplicates_of(const WorkFolder& folder, int64_t job) {
  return read_values<int64_t>(duplicates_file(folder, job));
}

}  // namespace funnel::shard_tool
