// SPDX-License-Identifier: Apache-2.0
// Whatever happens to the files of a checkpoint is found before it is used, and named. Oracle: the
// file that the test damaged.
#include <random>

#include "data/digest.h"
#include "data/h5.h"
#include "tests/launch/checkpoint_fixture.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {
namespace {

namespace fs = std::filesystem;

class CheckpointDamageTest : public CheckpointTest {
 protected:
  void SetUp() override {
    CheckpointTest::SetUp();
    save(10);
    path_ = save(20);
    ASSERT_EQ(damage_of(path_), "");
  }

  // Expects that loading names `file`, and that the older checkpoint takes over.
  void expect_found(const std::string& file, const std::string& what) {
    const std::string message = damage_of(path_);
    EXPECT_TRUE(message.starts_with((path_ / file).string() + ": ")) << what << ": " << message;
    if (what.empty()) return;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }

  void expect_fall_back() {
    const Resumed resumed = expect_newest_is(10);
    EXPECT_EQ(resumed.path, folder_ / "step-00000010");
    ASSERT_EQ(resumed.damaged.size(), 1u);
    EXPECT_EQ(resumed.damaged[0].path, path_);
    EXPECT_EQ(resumed.damaged[0].reason, damage_of(path_));
  }

  fs::path path_;
};

TEST_F(CheckpointDamageTest, EveryByteOfTheManifestCounts) {
  const fs::path file = path_ / kManifestName;
  const std::string whole = read_text_file(file);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    overwrite(file, damaged);
    const std::string message = damage_of(path_);
    ASSERT_TRUE(message.starts_with(file.string() + ": expected")) << "byte " << i << message;
  }
}

TEST_F(CheckpointDamageTest, EveryLengthOfTheManifestCounts) {
  const fs::path file = path_ / kManifestName;
  const std::string whole = read_text_file(file);
  for (size_t length = 0; length < whole.size(); ++length) {
    overwrite(file, whole.substr(0, length));
    ASSERT_TRUE(damage_of(path_).starts_with(file.string())) << length << " bytes";
  }
  overwrite(file, whole + "\n");
  expect_found(kManifestName, "expected as last line");
  expect_fall_back();
}

TEST_F(CheckpointDamageTest, RandomFlipsOfSlicesAreNamed) {
  std::mt19937 random(1);
  for (int flip = 0; flip < 200; ++flip) {
    const std::string name = slice_name(random() % 8);
    const std::string whole = read_text_file(path_ / name);
    std::string damaged = whole;
    const size_t at = random() % whole.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    overwrite(path_ / name, damaged);
    expect_found(name, "expected SHA-256");
    overwrite(path_ / name, whole);
  }
  EXPECT_EQ(damage_of(path_), "");
}

TEST_F(CheckpointDamageTest, TruncatedZeroedAndLongerFiles) {
  const std::string name = slice_name(3);
  const std::string whole = read_text_file(path_ / name);
  for (const size_t length : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1}) {
    overwrite(path_ / name, whole.substr(0, length));
    expect_found(name, concat("expected ", whole.size(), " bytes, found ", length));
  }
  overwrite(path_ / name, whole + "x");
  expect_found(name, concat("found ", whole.size() + 1));
  overwrite(path_ / name, std::string(whole.size(), '\0'));
  expect_found(name, "expected SHA-256");
  expect_fall_back();
}

TEST_F(CheckpointDamageTest, MissingExtraAndSwappedFiles) {
  const fs::path aside = root_ / "aside";
  fs::rename(path_ / slice_name(2), aside);
  expect_found(slice_name(2), "found no such file");
  expect_fall_back();
  fs::rename(aside, path_ / slice_name(2));

  overwrite(path_ / "slice-00008.h5", "");
  expect_found("slice-00008.h5", "the manifest does not know it");
  fs::remove(path_ / "slice-00008.h5");
  overwrite(path_ / ".nfs0001", "");  // a file system's own
  EXPECT_EQ(damage_of(path_), "");

  fs::rename(path_ / slice_name(0), aside);
  fs::rename(path_ / slice_name(1), path_ / slice_name(0));
  fs::rename(aside, path_ / slice_name(1));
  expect_found(slice_name(0), "expected SHA-256");
  expect_fall_back();
}

TEST_F(CheckpointDamageTest, FilesOfAnotherStepOrRun) {
  fs::copy_file(folder_ / "step-00000010" / slice_name(0), path_ / slice_name(0),
                fs::copy_options::overwrite_existing);
  expect_found(slice_name(0), "expected SHA-256");

  // A whole checkpoint under another step's name.
  fs::remove_all(path_);
  fs::copy(folder_ / "step-00000010", path_);
  expect_found(kManifestName, "step: expected 20 as the folder's name says, found 10");

  OwnedState found;
  found.state.run_id = "another";
  SoloComm comm;
  EXPECT_THROW(load_checkpoint(comm, folder_ / "step-00000010", found.state), Error);
}

TEST_F(CheckpointDamageTest, AMissingManifestOrFolder) {
  fs::remove(path_ / kManifestName);
  expect_found(kManifestName, "cannot open");
  fs::remove_all(path_);
  fs::create_directory(path_);
  expect_found(kManifestName, "cannot open");
  expect_fall_back();
}

// A manifest whose digest fits but whose content does not make sense.
TEST_F(CheckpointDamageTest, TheManifestIsNotBelievedBlindly) {
  const CheckpointManifest whole = read_manifest(path_);
  const auto reason = [&](auto change) {
    CheckpointManifest changed = whole;
    change(changed);
    try {
      parse_manifest(manifest_text(changed), "M");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  using Manifest = CheckpointManifest;
  EXPECT_EQ(reason([](Manifest&) {}), "accepted");
  EXPECT_EQ(reason([](Manifest& m) { m.slices[1].name = "../slice-00001.h5"; }),
            "M: file 1: expected slice-00001.h5, found ../slice-00001.h5");
  EXPECT_EQ(reason([](Manifest& m) { m.slices[1].first = 127; }),
            "M: slice-00001.h5: expected elements from 128 within 1000, found 128 from 127");
  EXPECT_EQ(reason([](Manifest& m) { m.slices[1].elements = int64_t{1} << 62; }),
            "M: slice-00001.h5: expected elements from 128 within 1000, found "
            "4611686018427387904 from 128");
  EXPECT_EQ(reason([](Manifest& m) { m.slices.pop_back(); }),
            "M: expected files for 1000 elements, found 896");
  EXPECT_EQ(reason([](Manifest& m) { m.layout[0].offset = 701; }),
            "M: parameter embedding: leaves the state of 1000 elements");
  EXPECT_EQ(reason([](Manifest& m) {
              m.layout[0].shape = {int64_t{1} << 31, int64_t{1} << 31, 4};
            }),
            "M: parameter embedding: expected at most 1000 elements, found more");
}

// A slice whose digest fits but whose content is not what the manifest says.
TEST_F(CheckpointDamageTest, TheSlicesAreNotBelievedBlindly) {
  const auto reason = [&](const char* second, DType dtype, int64_t elements, int64_t step) {
    CheckpointManifest manifest = read_manifest(path_);
    SliceEntry& slice = manifest.slices[5];
    std::vector<double> zeros(128);
    H5File file = H5File::create_image("forged");
    file.set_attribute("run_id", manifest.run_id);
    file.set_attribute("step", step);
    file.set_attribute("first_element", slice.first);
    file.write("values", ConstTensor(zeros.data(), {128}, DType::f32));
    file.write(second, ConstTensor(zeros.data(), {elements}, dtype));
    file.write("moment2", ConstTensor(zeros.data(), {128}, DType::f32));
    const std::vector<char> image = file.image();
    overwrite(path_ / slice.name, std::string(image.begin(), image.end()));
    slice.bytes = static_cast<int64_t>(image.size());
    slice.sha256 = sha256(image);
    overwrite(path_ / kManifestName, manifest_text(manifest));
    const std::string message = damage_of(path_);
    const std::string file_name = (path_ / slice.name).string() + ": ";
    EXPECT_TRUE(message.empty() || message.starts_with(file_name)) << message;
    return message.substr(std::min(file_name.size(), message.size()));
  };
  EXPECT_EQ(reason("moment1", DType::f32, 128, 20), "");
  EXPECT_EQ(reason("moment1", DType::f64, 128, 20), "moment1: expected f32, found f64");
  EXPECT_EQ(reason("moment1", DType::f32, 127, 20), "moment1: expected [128], found [127]");
  EXPECT_EQ(reason("moment1", DType::f32, 128, 10), "step: expected 20, found 10");
  EXPECT_TRUE(reason("moment3", DType::f32, 128, 20).starts_with("cannot read dataset 'moment1'"));
}

TEST_F(CheckpointDamageTest, ALaterFormatIsRefusedByName) {
  std::string text = read_text_file(path_ / kManifestName);
  text.replace(text.find("format_version: 1"), 17, "format_version: 2");
  text.resize(text.rfind("manifest_sha256"));
  text += concat("manifest_sha256: \"", sha256(text), "\"\n");
  try {
    parse_manifest(text, "M");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(), "M: format_version: this program reads version 1, found 2");
  }
}

TEST_F(CheckpointDamageTest, NothingWholeIsForAPerson) {
  for (const fs::path& checkpoint : list_checkpoints(folder_)) {
    overwrite(checkpoint / slice_name(7), "?");
  }
  SoloComm comm;
  OwnedState found;
  try {
    load_newest_checkpoint(comm, folder_, found.state);
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kNeedsHuman);
    const std::string message = error.what();
    EXPECT_NE(message.find("every checkpoint is damaged"), std::string::npos);
    EXPECT_NE(message.find((path_ / slice_name(7)).string()), std::string::npos);
  }
}

TEST_F(CheckpointDamageTest, AllRanksFallBackTogether) {
  overwrite(path_ / slice_name(6), "?");
  run_on_threads(4, [&](Comm& comm) {
    OwnedState found;
    const Resumed resumed = load_newest_checkpoint(comm, folder_, found.state);
    expect_same(found, OwnedState::at_step(10));
    ASSERT_EQ(resumed.damaged.size(), 1u);
    EXPECT_EQ(resumed.damaged[0].reason,
              concat("rank 2: ", (path_ / slice_name(6)).string(), ": expected ",
                     read_manifest(path_).slices[6].bytes, " bytes, found 1"));
  });
}

TEST_F(CheckpointDamageTest, SetAsideItCountsNoMore) {
  overwrite(path_ / slice_name(6), "?");
  EXPECT_EQ(set_aside_checkpoint(path_), folder_ / "damaged-step-00000020");
  EXPECT_TRUE(expect_newest_is(10).damaged.empty());
  save(20);
  overwrite(path_ / slice_name(6), "?");
  EXPECT_EQ(set_aside_checkpoint(path_), folder_ / "damaged-step-00000020-2");
  save(30);
  // The good one of step 10 would have gone if the damaged ones counted.
  EXPECT_EQ(names_in(folder_),
            (std::vector<std::string>{"damaged-step-00000020", "damaged-step-00000020-2",
                                      "step-00000010", "step-00000030"}));
}

}  // namespace
}  // namespace funnel::testing
