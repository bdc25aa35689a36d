// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/work_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <sstream>

#include "core/base/error.h"
#include "data/durable_file.h"
#include "data/shard.h"

namespace funnel::shard_tool {
namespace {

namespace fs = std::filesystem;

std::string record_file(int64_t job, int64_t part) {
  return concat("unit-", unit_name(job, part), ".textproto");
}

bool is_shard(const fs::directory_entry& entry) {
  return entry.path().extension() == ".h5" &&
         entry.path().filename().string().starts_with("shard-");
}

bool is_record(const fs::directory_entry& entry) {
  return entry.path().filename().string().starts_with("unit-");
}

// The files of a folder that `take` accepts.
template <class Take>
std::vector<fs::path> files_of(const fs::path& folder, Take take) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (take(entry)) files.push_back(entry.path());
  }
  return files;
}

void remove_half_written(const fs::path& folder) {
  const auto half_written = [](const fs::directory_entry& entry) {
    return entry.path().filename().string().starts_with(".tmp-");
  };
  for (const fs::path& file : files_of(folder, half_written)) fs::remove(file);
}

void check_same_plan(const fs::path& file, const std::string& plan) {
  std::istringstream expected(plan), found(read_text_file(file));
  std::string expected_line, found_line;
  while (true) {
    const bool more_expected = static_cast<bool>(std::getline(expected, expected_line));
    const bool more_found = static_cast<bool>(std::getline(found, found_line));
    if (!more_expected && !more_found) return;
    FUNNEL_CHECK_INPUT(more_expected && more_found && expected_line == found_line, file.string(),
                       ": an unfinished build with other options or files lies here; expected '",
                       more_expected ? expected_line : "the end", "', found '",
                       more_found ? found_line : "the end", "'; --start-over removes it");
  }
}

}  // namespace

// Held until the process ends. A file system without locks is no reason to stop.
void WorkFolder::lock() {
  const int folder = ::open(output_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool busy = folder >= 0 && ::flock(folder, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  FUNNEL_CHECK_INPUT(!busy, output_.string(), ": another funnel-shard build is at work here");
}

void WorkFolder::remove_shards() const {
  for (const fs::path& folder : {output_, held_out()}) {
    for (const fs::path& file : files_of(folder, is_shard)) fs::remove(file);
    fs::remove(folder / kIndexFile);
  }
}

void WorkFolder::begin(const std::string& plan, bool with_held_out, bool start_over) {
  // An index beside a plan is that of a build that ended before its report.
  if (!fs::exists(path_ / kPlanFile)) make_data_folder(output_);
  lock();
  if (start_over) {
    remove_shards();
    fs::remove_all(path_);
  }
  bool resumes = fs::exists(path_ / kPlanFile);
  if (resumes && files_of(path_, is_record).empty()) {
    resumes = read_text_file(path_ / kPlanFile) == plan;
    if (!resumes) fs::remove_all(path_);
  }
  if (!resumes) {
    const std::vector<fs::path> strangers = files_of(output_, is_shard);
    FUNNEL_CHECK_INPUT(strangers.empty(), strangers.front().string(),
                       ": a shard of no known build; choose another folder or --start-over");
  }
  std::error_code error;
  fs::create_directories(path_, error);
  if (with_held_out && !error) fs::create_directories(held_out(), error);
  FUNNEL_CHECK_INPUT(!error, output_.string(), ": cannot make this folder: ", error.message());
  for (const fs::path& folder : {output_, held_out(), path_}) remove_half_written(folder);
  if (resumes) {
    check_same_plan(path_ / kPlanFile, plan);
    fs::remove(output_ / kIndexFile);
  } else {
    write_durably(path_ / kPlanFile, plan);
  }
}

bool WorkFolder::files_are_there(const UnitRecord& record) const {
  const auto is_there = [](const fs::path& folder, const std::optional<ShardEntry>& entry) {
    std::error_code error;
    return !entry ||
           fs::file_size(folder / entry->file, error) == static_cast<uint64_t>(entry->bytes);
  };
  return is_there(output_, record.training.shard) && is_there(path_, record.training.rest) &&
         is_there(held_out(), record.held_out.shard) && is_there(path_, record.held_out.rest);
}

std::vector<std::vector<UnitRecord>> WorkFolder::finished_units(int64_t jobs) const {
  // One listing instead of many questions: file systems over a network remember what was not there.
  std::set<std::string> names;
  for (const fs::path& file : files_of(path_, is_record)) {
    names.insert(file.filename().string());
  }
  std::vector<std::vector<UnitRecord>> finished(static_cast<size_t>(jobs));
  for (int64_t job = 0; job < jobs; ++job) {
    std::vector<UnitRecord>& units = finished[static_cast<size_t>(job)];
    for (int64_t part = 0; names.contains(record_file(job, part)); ++part) {
      UnitRecord record = read(job, part);
      if (!files_are_there(record)) break;
      units.push_back(std::move(record));
      if (units.back().last) break;
    }
  }
  return finished;
}

void WorkFolder::write(const UnitRecord& record) const {
  write_durably(path_ / record_file(record.job, record.part), to_text(record));
}

UnitRecord WorkFolder::read(int64_t job, int64_t part) const {
  const fs::path file = path_ / record_file(job, part);
  return parse_unit_record(read_text_file(file), file.string());
}

void WorkFolder::remove() const {
  std::error_code ignored;
  fs::remove(path_ / kPlanFile, ignored);
  fs::remove_all(path_, ignored);
}

}  // namespace funnel::shard_tool
