// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <system_error>

#include "data/durable_file.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_folder.h"
#include "launch/checkpoint_slices.h"
#include "parallel/together.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

// Rank 0 reads, so that all ranks judge the same text.
std::string read_manifest_together(Comm& comm, const fs::path& checkpoint) {
  const fs::path path = checkpoint / kManifestName;
  std::string text;
  together(comm, [&] {
    if (comm.rank() != 0) return;
    try {
      text = read_text_file(path);
    } catch (const Error& error) {
      throw_damaged(error.what());
    }
  });
  broadcast_text(comm, text, 0);
  return text;
}

// No file is missing and none is there that the manifest does not know, but hidden ones, which
// file systems make for themselves.
void check_files(const fs::path& checkpoint, const CheckpointManifest& manifest) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(checkpoint, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name != kManifestName && !name.starts_with(".")) found.push_back(name);
  }
  if (error) throw_damaged(checkpoint.string(), ": cannot list: ", error.message());
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected;
  for (const SliceEntry& slice : manifest.slices) expected.push_back(slice.name);
  for (const std::string& name : expected) {
    if (!std::binary_search(found.begin(), found.end(), name)) {
      throw_damaged((checkpoint / name).string(), ": expected by the manifest, found no such file");
    }
  }
  for (const std::string& name : found) {
    if (std::find(expected.begin(), expected.end(), name) == expected.end()) {
      throw_damaged((checkpoint / name).string(), ": found, but the manifest does not know it");
    }
  }
}

std::string describe(const ParamEntry& param) {
  return concat(param.name, " ", param.shape, " at ", param.offset);
}

void check_layout(const std::string& path, const std::vector<ParamEntry>& expected,
                  const std::vector<ParamEntry>& found) {
  for (size_t i = 0; i < std::max(expected.size(), found.size()); ++i) {
    if (i < expected.size() && i < found.size() && expected[i] == found[i]) continue;
    throw_usage(path, ": the checkpoint is of another model: parameter ", i, ": expected ",
                i < expected.size() ? describe(expected[i]) : "none", ", found ",
                i < found.size() ? describe(found[i]) : "none");
  }
}

void check_belongs(const fs::path& checkpoint, const CheckpointManifest& manifest,
                   const TrainingState& state) {
  const std::string path = (checkpoint / kManifestName).string();
  const int64_t step = step_of(checkpoint);
  if (step >= 0 && step != manifest.step) {
    throw_damaged(path, ": step: expected ", step, " as the folder's name says, found ",
                  manifest.step);
  }
  if (!state.run_id.empty() && state.run_id != manifest.run_id) {
    throw_damaged(path, ": run_id: expected ", state.run_id, ", found ", manifest.run_id,
                  ": a checkpoint of another run");
  }
  if (!state.layout.empty()) check_layout(path, state.layout, manifest.layout);
  FUNNEL_CHECK_INPUT(
      state.vocabulary_digest.empty() || state.vocabulary_digest == manifest.vocabulary_digest,
      path, ": vocabulary_sha256: expected ", state.vocabulary_digest,
      " of the data's vocabulary, found ", manifest.vocabulary_digest);
  for (const NamedTensor& named : tensors_of(state)) {
    FUNNEL_CHECK_INPUT(std::find(manifest.tensors.begin(), manifest.tensors.end(), named.name) !=
                           manifest.tensors.end(),
                       path, ": expected a tensor ", named.name, ", found none");
    FUNNEL_CHECK_INPUT(named.tensor.shape() == Shape{manifest.elements}, path, ": ", named.name,
                       ": expected ", named.tensor.elements(), " elements, found ",
                       manifest.elements);
  }
}

}  // namespace

void load_checkpoint(Comm& comm, const fs::path& checkpoint, TrainingState& state) {
  const std::string text = read_manifest_together(comm, checkpoint);
  CheckpointManifest manifest;
  together(comm, [&] {
    manifest = parse_manifest(text, (checkpoint / kManifestName).string());
    check_belongs(checkpoint, manifest, state);
  });
  together(comm, [&] {
    if (comm.rank() == 0) check_files(checkpoint, manifest);
    for (size_t i = comm.rank(); i < manifest.slices.size(); i += comm.size()) {
      read_slice(checkpoint, manifest, manifest.slices[i], state);
    }
  });
  for (size_t i = 0; i < manifest.slices.size(); ++i) {
    const SliceEntry& slice = manifest.slices[i];
    for (const NamedTensor& named : tensors_of(state)) {
      comm.broadcast(named.tensor.slice(slice.first, {slice.elements}),
                     static_cast<int>(i % comm.size()));
    }
  }
  state.run_id = manifest.run_id;
  state.step = manifest.step;
  state.samples = manifest.samples;
  state.seed = manifest.seed;
  state.config_text = manifest.config_text;
  state.vocabulary_digest = manifest.vocabulary_digest;
  state.layout = manifest.layout;
}

Resumed load_newest_checkpoint(Comm& comm, const fs::path& folder, TrainingState& state) {
  std::string names;
  together(comm, [&] {
    if (comm.rank() != 0) return;
    for (const fs::path& path : list_checkpoints(folder)) names += path.filename().string() + "\n";
  });
  broadcast_text(comm, names, 0);

  Resumed resumed;
  for (size_t begin = 0; begin < names.size() && resumed.path.empty();) {
    const size_t end = names.find('\n', begin);
    const fs::path checkpoint = folder / names.substr(begin, end - begin);
    begin = end + 1;
    try {
      load_checkpoint(comm, checkpoint, state);
      resumed.path = checkpoint;
    } catch (const Error& error) {
      if (error.exit_code() != ExitCode::kNeedsHuman) throw;
      resumed.damaged.push_back({checkpoint, error.what()});
    }
  }
  if (resumed.path.empty() && !resumed.damaged.empty()) {
    std::string reasons;
    for (const DamagedCheckpoint& damaged : resumed.damaged) reasons += "; " + damaged.reason;
    throw_damaged(folder.string(), ": every checkpoint is damaged", reasons);
  }
  return resumed;
}

}  // namespace funnel
