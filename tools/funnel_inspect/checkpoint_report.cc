// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_inspect/checkpoint_report.h"

#include <vector>

#include "core/base/error.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_folder.h"
#include "launch/checkpoint_manifest.h"
#include "launch/config.h"
#include "parallel/solo_comm.h"
#include "tools/funnel_inspect/model_report.h"
#include "tools/funnel_inspect/table.h"

namespace funnel {

namespace {

namespace fs = std::filesystem;

// The checkpoint that a path means.
fs::path find_checkpoint(const fs::path& path) {
  FUNNEL_CHECK_INPUT(fs::is_directory(path), path.string(), ": expected a folder, found ",
                     fs::exists(path) ? "a file" : "none");
  if (fs::exists(path / kManifestName) || step_of(path) >= 0) return path;
  const fs::path folder = fs::is_directory(path / "checkpoints") ? path / "checkpoints" : path;
  const std::vector<fs::path> checkpoints = list_checkpoints(folder);
  FUNNEL_CHECK_INPUT(!checkpoints.empty(), folder.string(), ": expected a checkpoint such as ",
                     checkpoint_name(1000), ", found none");
  return checkpoints.front();
}

// A configuration of another version may not be readable, which the rest does not depend on.
std::string model_of(const CheckpointManifest& manifest) {
  try {
    return model_headline(parse_config(manifest.config_text, "config"));
  } catch (const Error& error) {
    return concat("unknown (", error.what(), ")");
  }
}

std::string summary(const CheckpointManifest& manifest) {
  int64_t bytes = 0;
  for (const SliceEntry& slice : manifest.slices) bytes += slice.bytes;
  std::string tensors;
  for (const std::string& name : manifest.tensors) tensors += (tensors.empty() ? "" : ", ") + name;
  const std::vector<std::pair<std::string, std::string>> lines{
      {"run", manifest.run_id},
      {"step", grouped(manifest.step)},
      {"examples seen", grouped(manifest.samples)},
      {"seed", concat(manifest.seed)},
      {"model", model_of(manifest)},
      {"vocabulary SHA-256", manifest.vocabulary_digest},
      {"parameters",
       concat(grouped(manifest.elements), " in ", manifest.layout.size(), " tensors")},
      {"kept of each", tensors},
      {"files", concat(manifest.slices.size(), " with ", grouped(bytes), " bytes")},
  };
  std::string text;
  for (const auto& [name, value] : lines) {
    text += concat("  ", name, std::string(20 - name.size(), ' '), value, "\n");
  }
  return text;
}

std::string file_table(const CheckpointManifest& manifest) {
  Table table;
  table.add({"", "first element", "elements", "bytes", "SHA-256 begins"});
  for (const SliceEntry& slice : manifest.slices) {
    table.add({slice.name, grouped(slice.first), grouped(slice.elements), grouped(slice.bytes),
               slice.sha256.substr(0, 16)});
  }
  return "\nFiles\n" + table.text();
}

std::string parameter_table(const CheckpointManifest& manifest) {
  Table table;
  table.add({"", "shape", "elements", "first element"});
  for (const ParamEntry& entry : manifest.layout) {
    table.add(
        {entry.name, concat(entry.shape), grouped(entry.shape.elements()), grouped(entry.offset)});
  }
  return "\nParameters\n" + table.text();
}

}  // namespace

std::string checkpoint_report(const CheckpointReportOptions& options) {
  const fs::path checkpoint = find_checkpoint(options.path);
  const CheckpointManifest manifest = read_manifest(checkpoint);
  std::string text = checkpoint.string() + "\n" + summary(manifest) + file_table(manifest);
  if (options.parameters) text += parameter_table(manifest);
  if (options.config) text += "\nConfiguration\n" + manifest.config_text;
  if (options.verify) {
    SoloComm comm;
    TrainingState checked;  // without tensors: files are read and checked, nothing is kept
    load_checkpoint(comm, checkpoint, checked);
    text += "\nEvery file is as the manifest states.\n";
  }
  return text;
}

}  // namespace funnel
