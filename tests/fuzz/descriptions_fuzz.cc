// SPDX-License-Identifier: Apache-2.0
// Any bytes as the index of a data folder and as the manifest of a checkpoint: rejected with the
// exit code of the room, or understood such that what is written of it reads the same again.
#include <cstdlib>

#include "core/base/error.h"
#include "data/data_index.h"
#include "launch/checkpoint_manifest.h"
#include "tests/data/small_vocabulary.h"
#include "tests/fuzz/fuzz_target.h"

namespace funnel {
namespace {

CheckpointManifest small_manifest() {
  CheckpointManifest manifest;
  manifest.run_id = "4f0c";
  manifest.step = 1000;
  manifest.config_text = "train { steps: 10 }\n";
  manifest.vocabulary_digest = std::string(64, 'a');
  manifest.elements = 384;
  manifest.tensors = {"values"};
  manifest.layout = {{"embedding.table", {40, 8}, 0}, {"norm.gamma", {8}, 320}};
  manifest.slices = {{slice_name(0), 0, 384, 4096, std::string(64, 'b')}};
  return manifest;
}

void read_index(std::string_view text) {
  DataIndex index;
  try {
    index = parse_data_index(text, "index");
  } catch (const Error& error) {
    if (error.exit_code() != ExitCode::kUsage) std::abort();
    return;
  }
  if (parse_data_index(to_text(index), "index") != index) std::abort();
}

void read_manifest_text(std::string_view text) {
  CheckpointManifest manifest;
  try {
    manifest = parse_manifest(text, "manifest");
  } catch (const Error&) {
    return;
  }
  if (manifest_text(parse_manifest(manifest_text(manifest), "manifest")) !=
      manifest_text(manifest)) {
    std::abort();
  }
}

}  // namespace

std::vector<std::string> testing::fuzz_seeds() {
  DataIndex index = index_for(vocabulary_of_size(40), 16, 8);
  index.examples = 24;
  index.shards = {{"shard-00000.h5", 24, 4096, std::string(64, 'c')}};
  return {to_text(index), manifest_text(small_manifest())};
}

}  // namespace funnel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  funnel::read_index(text);
  funnel::read_manifest_text(text);
  return 0;
}
