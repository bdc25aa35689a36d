// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <system_error>

#include "data/durable_file.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_folder.h"
#include "launch/checkpoint_slices.h"
#include "parallel/together.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDigestDigits = 64;

// A slice's size and digest on their way to the other ranks.
struct SliceReport {
  int64_t bytes = 0;
  char sha256[kDigestDigits] = {};
};

void check_state(const TrainingState& state, const SaveOptions& options) {
  FUNNEL_CHECK(state.values && state.values.elements() > 0, "save_checkpoint: no values");
  FUNNEL_CHECK(options.slice_elements > 0, "save_checkpoint: slices of ", options.slice_elements,
               " elements");
  FUNNEL_CHECK(options.keep_last >= 2, "save_checkpoint: expected to keep at least 2, found ",
               options.keep_last);
  for (const NamedTensor& named : tensors_of(state)) {
    check_shape(named.name, named.tensor, {state.values.elements()});
    FUNNEL_CHECK(named.tensor.dtype() == DType::f32, named.name, ": expected f32, found ",
                 name_of(named.tensor.dtype()));
  }
}

CheckpointManifest describe(const TrainingState& state, int64_t slice_elements) {
  CheckpointManifest manifest{.run_id = state.run_id,
                              .step = state.step,
                              .samples = state.samples,
                              .seed = state.seed,
                              .config_text = state.config_text,
                              .vocabulary_digest = state.vocabulary_digest,
                              .elements = state.values.elements(),
                              .tensors = {},
                              .layout = state.layout,
                              .slices = {}};
  for (const NamedTensor& named : tensors_of(state)) manifest.tensors.push_back(named.name);
  for (int64_t first = 0; first < manifest.elements; first += slice_elements) {
    manifest.slices.push_back({.name = slice_name(manifest.slices.size()),
                               .first = first,
                               .elements = std::min(slice_elements, manifest.elements - first),
                               .bytes = 0,
                               .sha256 = {}});
  }
  return manifest;
}

// A save at work. Every member function is collective.
class Saving {
 public:
  Saving(Comm& comm, const fs::path& folder, const TrainingState& state, const SaveOptions& options)
      : comm_(comm),
        state_(state),
        options_(options),
        folder_(folder),
        final_(folder / checkpoint_name(state.step)),
        temporary_(folder / concat(".tmp-", checkpoint_name(state.step))),
        manifest_(describe(state, options.slice_elements)) {}

  void write() {
    on_rank_0([&] { make_folder(); });
    together(comm_, [&] {
      for_my_slices([&](SliceEntry& slice) {
        before("write " + slice.name);
        write_slice(temporary_, state_, slice);
      });
    });
    share_reports();
    on_rank_0([&] {
      before("write the manifest");
      write_durably(temporary_ / kManifestName, manifest_text(manifest_));
      before("rename");
      publish_checkpoint(temporary_, final_);
    });
  }

  void verify() {
    together(comm_, [&] {
      if (comm_.rank() == 0) {
        before("verify");
        const std::string text = read_text_file(final_ / kManifestName);
        if (text != manifest_text(manifest_)) {
          throw_damaged((final_ / kManifestName).string(), ": is not what was written");
        }
      }
      for_my_slices([&](const SliceEntry& slice) { check_slice_bytes(final_, slice); });
    });
  }

  void prune() {
    on_rank_0([&] {
      before("delete the oldest");
      prune_checkpoints(folder_, options_.keep_last);
    });
  }

  // What failed to be written has no name yet; what failed to be read back loses its name. Not
  // collective, and quiet: the first failure is the one to tell.
  void discard_unfinished() noexcept {
    if (comm_.rank() != 0) return;
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  }
  void set_aside() noexcept {
    if (comm_.rank() != 0) return;
    try {
      set_aside_checkpoint(final_);
    } catch (const std::exception&) {
    }
  }

  const fs::path& path() const { return final_; }

 private:
  void before(const std::string& act) const {
    if (options_.before) options_.before(act);
  }

  template <class Work>
  void on_rank_0(Work work) {
    together(comm_, [&] {
      if (comm_.rank() == 0) work();
    });
  }

  template <class Work>
  void for_my_slices(Work work) {
    for (size_t i = comm_.rank(); i < manifest_.slices.size(); i += comm_.size()) {
      work(manifest_.slices[i]);
    }
  }

  void make_folder() {
    before("make the folder");
    std::error_code error;
    fs::remove_all(temporary_, error);
    fs::create_directories(temporary_, error);
    if (error) throw Error(concat(temporary_.string(), ": cannot create: ", error.message()));
    const fs::space_info space = fs::space(folder_, error);
    // Chunk indices and the manifest come on top of the tensors.
    const auto needed = static_cast<uint64_t>(
        manifest_.elements * static_cast<int64_t>(manifest_.tensors.size() * sizeof(float)) / 100 *
            101 +
        (1 << 20));
    if (!error && space.available < needed) {
      throw Error(concat(folder_.string(), ": a checkpoint needs ", needed,
                         " bytes of disk space, found ", space.available));
    }
  }

  void share_reports() {
    const size_t count = manifest_.slices.size();
    std::vector<SliceReport> mine(count);
    for_my_slices([&](const SliceEntry& slice) {
      SliceReport& report = mine[&slice - manifest_.slices.data()];
      report.bytes = slice.bytes;
      std::memcpy(report.sha256, slice.sha256.data(), kDigestDigits);
    });
    std::vector<SliceReport> all(count * comm_.size());
    const auto bytes = static_cast<int64_t>(count * sizeof(SliceReport));
    comm_.all_gather(ConstTensor(mine.data(), {bytes}, DType::u8),
                     Tensor(all.data(), {bytes * comm_.size()}, DType::u8));
    for (size_t i = 0; i < count; ++i) {
      const SliceReport& report = all[i % comm_.size() * count + i];
      manifest_.slices[i].bytes = report.bytes;
      manifest_.slices[i].sha256.assign(report.sha256, kDigestDigits);
    }
  }

  Comm& comm_;
  const TrainingState& state_;
  const SaveOptions& options_;
  const fs::path folder_;
  const fs::path final_;
  const fs::path temporary_;
  CheckpointManifest manifest_;
};

}  // namespace

fs::path save_checkpoint(Comm& comm, const fs::path& folder, const TrainingState& state,
                         const SaveOptions& options) {
  check_state(state, options);
  Saving saving(comm, folder, state, options);
  try {
    saving.write();
  } catch (const Error&) {
    saving.discard_unfinished();
    throw;
  }
  try {
    saving.verify();
  } catch (const Error&) {
    saving.set_aside();
    throw;
  }
  saving.prune();
  return saving.path();
}

}  // namespace funnel
