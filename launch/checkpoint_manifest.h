// SPDX-License-Identifier: Apache-2.0
// What a checkpoint holds: MANIFEST.textproto, the last file of a checkpoint to be written and the
// first to be read. Its last line is the SHA-256 of all lines before, and it names every other file
// with its size and SHA-256, so that nothing in the folder is believed before it was checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/shape.h"

namespace funnel {

inline constexpr const char* kManifestName = "MANIFEST.textproto";
inline constexpr int64_t kCheckpointFormatVersion = 1;

// A parameter's place in the flat state.
struct ParamEntry {
  std::string name;
  Shape shape;
  int64_t offset = 0;  // of its first element

  friend bool operator==(const ParamEntry&, const ParamEntry&) = default;
};

// A file with elements [first, first + elements) of each tensor of the flat state.
struct SliceEntry {
  std::string name;  // slice_name(i) of the i-th slice
  int64_t first = 0;
  int64_t elements = 0;
  int64_t bytes = 0;
  std::string sha256;
};

struct CheckpointManifest {
  std::string run_id;
  int64_t step = 0;
  int64_t samples = 0;  // examples seen so far
  uint64_t seed = 0;
  std::string config_text;
  std::string vocabulary_digest;
  int64_t elements = 0;              // of the flat state
  std::vector<std::string> tensors;  // "values", and "moment1" and "moment2" when they are kept
  std::vector<ParamEntry> layout;
  std::vector<SliceEntry> slices;  // they cover [0, elements) in order
};

std::string slice_name(size_t index);

std::string manifest_text(const CheckpointManifest& manifest);

// Parses and checks a manifest's text; `path` names it in errors. A damaged manifest is an Error
// with ExitCode::kNeedsHuman, one of a later format an input error.
CheckpointManifest parse_manifest(std::string_view text, const std::string& path);

// Reads the manifest of a checkpoint's folder.
CheckpointManifest read_manifest(const std::filesystem::path& checkpoint);

// Throws the Error of a file that is not what it was when written.
template <class... Parts>
[[noreturn]] void throw_damaged(Parts&&... parts) {
  throw Error(concat(std::forward<Parts>(parts)...), ExitCode::kNeedsHuman);
}

}  // namespace funnel
