// SPDX-License-Identifier: Apache-2.0
#include "data/text_files.h"

#include <glob.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kJsonNames = {".json", ".jsonl", ".ndjson"};

bool is_one_of(const fs::path& extension, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), extension) != names.end();
}

// The extension that tells the format: that of "a.txt" for "a.txt.gz".
fs::path format_extension(const fs::path& path) {
  return is_one_of(path.extension(), {".gz", ".zst"}) ? path.stem().extension() : path.extension();
}

bool has_json_name(const fs::path& path) {
  return std::find(kJsonNames.begin(), kJsonNames.end(), format_extension(path)) !=
         kJsonNames.end();
}

bool has_known_name(const fs::path& path) {
  return format_extension(path) == ".txt" || has_json_name(path) ||
         is_one_of(path.extension(), {".h5", ".hdf5"});
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink)) {
    if (entry.is_regular_file() && has_known_name(entry.path())) files.push_back(entry.path());
  }
  FUNNEL_CHECK_INPUT(!files.empty(), folder.string(),
                     ": expected text (*.txt, *.json, *.jsonl, *.ndjson, also as .gz or .zst, "
                     "*.h5, *.hdf5), found none in this folder");
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> matches(const std::string& pattern) {
  glob_t found{};
  const int result = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<fs::path> paths;
  if (result == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  FUNNEL_CHECK_INPUT(!paths.empty(), pattern, ": no file matches this pattern");
  std::sort(paths.begin(), paths.end());
  return paths;
}

TextFile described(const fs::path& path, bool all_json) {
  TextFile file{.path = path};
  if (path != "-") {
    FUNNEL_CHECK_INPUT(fs::exists(path), path.string(), ": no such file or folder");
  }
  file.stream = path == "-" || !fs::is_regular_file(path);
  const bool json = all_json || has_json_name(path);
  if (!file.stream) {
    file.bytes = static_cast<int64_t>(fs::file_size(path));
    file.modified = fs::last_write_time(path).time_since_epoch().count();
    const std::string head = first_bytes(path, 8);
    file.compression = compression_of(head);
    if (head == "\x89HDF\r\n\x1a\n") file.format = TextFormat::hdf5;
  }
  if (json && file.format != TextFormat::hdf5) file.format = TextFormat::json_lines;
  return file;
}

}  // namespace

std::vector<TextFile> text_files(const std::vector<fs::path>& inputs, bool all_json) {
  std::vector<TextFile> files;
  const auto add = [&](const fs::path& path) {
    if (!fs::is_directory(path)) {
      files.push_back(described(path, all_json));
      return;
    }
    for (const fs::path& inside : files_below(path)) files.push_back(described(inside, all_json));
  };
  for (const fs::path& input : inputs) {
    const bool is_pattern = input.string().find_first_of("*?[") != std::string::npos;
    if (!is_pattern || fs::exists(input)) {
      add(input);
      continue;
    }
    for (const fs::path& match : matches(input.string())) add(match);
  }
  return files;
}

}  // namespace funnel
