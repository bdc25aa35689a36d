// SPDX-License-Identifier: Apache-2.0
#include "launch/checkpoint_folder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <system_error>

#include "core/base/error.h"
#include "data/durable_file.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kTemporaryPrefix = ".tmp-";
constexpr std::string_view kReplacedPrefix = ".replaced-";

// Runs an act of the file system and turns its error into ours.
template <class Act>
void checked(const fs::path& path, const char* doing, Act act) {
  std::error_code error;
  act(error);
  if (error) throw Error(concat(path.string(), ": cannot ", doing, ": ", error.message()));
}

void rename_folder(const fs::path& from, const fs::path& to) {
  checked(from, "rename", [&](std::error_code& error) { fs::rename(from, to, error); });
}

void delete_folder(const fs::path& path) {
  checked(path, "delete", [&](std::error_code& error) { fs::remove_all(path, error); });
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  checked(folder, "list", [&](std::error_code& error) {
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      found.push_back(at->path());
    }
  });
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  std::array<char, 40> name{};
  std::snprintf(name.data(), name.size(), "step-%08lld", static_cast<long long>(step));
  return name.data();
}

int64_t step_of(const fs::path& checkpoint) {
  const std::string name = checkpoint.filename().string();
  if (!name.starts_with(kStepPrefix)) return -1;
  int64_t step = -1;
  std::from_chars(name.data() + kStepPrefix.size(), name.data() + name.size(), step);
  return step >= 0 && checkpoint_name(step) == name ? step : -1;
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> checkpoints;
  if (!fs::exists(folder)) return checkpoints;
  for (const fs::path& path : entries(folder)) {
    if (step_of(path) >= 0) checkpoints.push_back(path);
  }
  std::sort(checkpoints.begin(), checkpoints.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  return checkpoints;
}

void recover_checkpoint_folder(const fs::path& folder) {
  checked(folder, "make the folder",
          [&](std::error_code& error) { fs::create_directories(folder, error); });
  for (const fs::path& path : entries(folder)) {
    const std::string name = path.filename().string();
    if (name.starts_with(kTemporaryPrefix)) delete_folder(path);
    if (!name.starts_with(kReplacedPrefix)) continue;
    const fs::path original = folder / name.substr(kReplacedPrefix.size());
    if (fs::exists(original)) {
      delete_folder(path);
    } else {
      rename_folder(path, original);
    }
  }
  sync_folder(folder);
}

void publish_checkpoint(const fs::path& finished, const fs::path& checkpoint) {
  const fs::path folder = checkpoint.parent_path();
  const fs::path replaced = folder / concat(kReplacedPrefix, checkpoint.filename().string());
  const bool replaces = fs::exists(checkpoint);
  if (replaces) {
    delete_folder(replaced);
    rename_folder(checkpoint, replaced);
  }
  try {
    rename_folder(finished, checkpoint);
  } catch (const Error&) {
    std::error_code ignored;
    if (replaces) fs::rename(replaced, checkpoint, ignored);
    throw;
  }
  sync_folder(folder);
  if (replaces) delete_folder(replaced);
}

fs::path set_aside_checkpoint(const fs::path& checkpoint) {
  const std::string name = concat("damaged-", checkpoint.filename().string());
  fs::path target = checkpoint.parent_path() / name;
  for (int copy = 2; fs::exists(target); ++copy) {
    target = checkpoint.parent_path() / concat(name, "-", copy);
  }
  rename_folder(checkpoint, target);
  sync_folder(checkpoint.parent_path());
  return target;
}

void prune_checkpoints(const fs::path& folder, int keep_last) {
  FUNNEL_CHECK(keep_last >= 2, "expected to keep at least 2 checkpoints, found ", keep_last);
  const std::vector<fs::path> checkpoints = list_checkpoints(folder);
  for (size_t i = checkpoints.size(); i > static_cast<size_t>(keep_last); --i) {
    // Half a deletion must not look like a checkpoint.
    const fs::path doomed =
        folder / concat(kTemporaryPrefix, "deleted-", checkpoints[i - 1].filename().string());
    delete_folder(doomed);
    rename_folder(checkpoints[i - 1], doomed);
    delete_folder(doomed);
  }
}

}  // namespace funnel
