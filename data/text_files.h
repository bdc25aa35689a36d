// SPDX-License-Identifier: Apache-2.0
// What a user means by a list of inputs: files, folders, patterns of names ("part-*.txt") and "-"
// for standard input; which of them are compressed, and which hold plain text, JSON lines or
// ready examples in HDF5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/byte_source.h"

namespace funnel {

enum class TextFormat { plain, json_lines, hdf5 };

struct TextFile {
  std::filesystem::path path;  // "-" is standard input
  int64_t bytes = 0;           // as stored; 0 for standard input and pipes
  int64_t modified = 0;        // the file's time stamp, in units of its file system
  TextFormat format = TextFormat::plain;
  Compression compression = Compression::none;
  bool stream = false;  // can be read only once, from its beginning
};

// The files meant by `inputs`, in that order; a folder stands for the files in it and below it with
// a known name (*.txt, *.json, *.jsonl, *.ndjson, each also .gz or .zst, and *.h5, *.hdf5), sorted
// by name, a pattern for the sorted names that match. HDF5 and compression are known by the first
// bytes, JSON lines by the name. `all_json` takes every text for JSON lines. Throws an input error
// naming what does not exist, matches nothing, has no text or cannot be read.
std::vector<TextFile> text_files(const std::vector<std::filesystem::path>& inputs,
                                 bool all_json = false);

}  // namespace funnel
