// SPDX-License-Identifier: Apache-2.0
#include "launch/checkpoint_slices.h"

#include "data/digest.h"
#include "data/durable_file.h"
#include "data/h5.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

void check_bytes(const std::string& path, const std::vector<char>& bytes, const SliceEntry& slice) {
  if (static_cast<int64_t>(bytes.size()) != slice.bytes) {
    throw_damaged(path, ": expected ", slice.bytes, " bytes, found ", bytes.size());
  }
  const std::string found = sha256(bytes);
  if (found != slice.sha256) {
    throw_damaged(path, ": expected SHA-256 ", slice.sha256, ", found ", found);
  }
}

void check_contents(const H5File& file, const CheckpointManifest& manifest,
                    const SliceEntry& slice) {
  const auto check = [&](const char* what, const auto& expected, const auto& found) {
    if (expected != found) {
      throw_damaged(file.name(), ": ", what, ": expected ", expected, ", found ", found);
    }
  };
  check("run_id", manifest.run_id, file.string_attribute("run_id"));
  check("step", manifest.step, file.int_attribute("step"));
  check("first_element", slice.first, file.int_attribute("first_element"));
  check("number of datasets", manifest.tensors.size(), file.datasets().size());
  for (const std::string& name : manifest.tensors) {
    check(name.c_str(), Shape{slice.elements}, file.shape(name));
    check(name.c_str(), std::string(name_of(DType::f32)), std::string(name_of(file.dtype(name))));
  }
}

// Whatever is wrong with a file of a checkpoint is damage.
template <class Read>
void as_damage(Read read) {
  try {
    read();
  } catch (const Error& error) {
    throw_damaged(error.what());
  }
}

}  // namespace

std::vector<NamedTensor> tensors_of(const TrainingState& state) {
  std::vector<NamedTensor> given;
  for (const NamedTensor& named :
       {NamedTensor{"values", state.values}, NamedTensor{"moment1", state.moment1},
        NamedTensor{"moment2", state.moment2}}) {
    if (named.tensor) given.push_back(named);
  }
  return given;
}

void write_slice(const fs::path& folder, const TrainingState& state, SliceEntry& slice) {
  const fs::path path = folder / slice.name;
  H5File file = H5File::create_image(path.string());
  file.set_attribute("run_id", state.run_id);
  file.set_attribute("step", state.step);
  file.set_attribute("first_element", slice.first);
  for (const NamedTensor& named : tensors_of(state)) {
    file.write(named.name, named.tensor.slice(slice.first, {slice.elements}));
  }
  const std::vector<char> image = file.image();
  write_durably(path, image);
  slice.bytes = static_cast<int64_t>(image.size());
  slice.sha256 = sha256(image);
}

void check_slice_bytes(const fs::path& folder, const SliceEntry& slice) {
  as_damage([&] {
    const fs::path path = folder / slice.name;
    check_bytes(path.string(), read_file(path), slice);
  });
}

void read_slice(const fs::path& folder, const CheckpointManifest& manifest, const SliceEntry& slice,
                const TrainingState& state) {
  as_damage([&] {
    const fs::path path = folder / slice.name;
    const std::vector<char> image = read_file(path);
    check_bytes(path.string(), image, slice);
    const H5File file = H5File::open_image(image, path.string());
    check_contents(file, manifest, slice);
    for (const NamedTensor& named : tensors_of(state)) {
      file.read(named.name, named.tensor.slice(slice.first, {slice.elements}));
    }
  });
}

}  // namespace funnel
