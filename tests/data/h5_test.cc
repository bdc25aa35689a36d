// SPDX-License-Identifier: Apache-2.0
// Oracle: values written are values read; damaged bytes never give other values without an error.
#include "data/h5.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <thread>

#include "data/durable_file.h"
#include "data/h5_superblock.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

template <class T>
ConstTensor view(const std::vector<T>& values, Shape shape) {
  return ConstTensor(values.data(), shape, dtype_of<T>());
}

template <class T>
Tensor view(std::vector<T>& values, Shape shape) {
  return Tensor(values.data(), shape, dtype_of<T>());
}

template <class T>
std::vector<T> numbered(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(i % 251 - (T(-1) < T(0) ? 100 : 0));
  return values;
}

template <class T>
class H5RoundTrip : public ::testing::Test {};
using Types = ::testing::Types<float, double, int32_t, uint8_t>;
TYPED_TEST_SUITE(H5RoundTrip, Types);

TYPED_TEST(H5RoundTrip, OfEveryTypeAndRank) {
  for (const Shape& shape : {Shape{7}, Shape{1}, Shape{13, 3}, Shape{5, 2, 3}, Shape{4, 3, 2, 2},
                             Shape{0, 8}, Shape{300000}}) {
    const std::vector<TypeParam> values = numbered<TypeParam>(shape.elements());
    H5File written = H5File::create_image("made");
    written.write("group/x", view(values, shape), {.chunk_rows = shape[0] / 3});
    const H5File read = H5File::open_image(written.image(), "read");
    EXPECT_EQ(read.shape("group/x"), shape);
    EXPECT_EQ(read.dtype("group/x"), dtype_of<TypeParam>());
    std::vector<TypeParam> back(values.size());
    read.read("group/x", view(back, shape));
    EXPECT_EQ(values, back);
  }
}

TEST(H5, RowsOfADataset) {
  const std::vector<int32_t> values = numbered<int32_t>(10 * 3);
  H5File file = H5File::create_image("rows");
  file.write("ids", view(values, {10, 3}), {.chunk_rows = 4});
  for (int64_t first = 0; first < 10; ++first) {
    for (int64_t rows = 0; first + rows <= 10; ++rows) {
      std::vector<int32_t> part(rows * 3);
      file.read_rows("ids", first, view(part, {rows, 3}));
      EXPECT_TRUE(std::equal(part.begin(), part.end(), values.begin() + first * 3));
    }
  }
  std::vector<int32_t> part(6);
  testing::expect_error(ExitCode::kUsage, {"rows", "'ids'", "[9, 11)", "[10, 3]"}, [&] {
    file.read_rows("ids", 9, view(part, {2, 3}));
  });
}

TEST(H5, SixteenBitsHoldIds) {
  const std::vector<int32_t> values{0, 1, 32767, 32768, 65535};
  H5File small = H5File::create_image("small");
  small.write("ids", view(values, {5}), {.as_uint16 = true});
  const H5File read = H5File::open_image(small.image(), "read");
  EXPECT_EQ(read.dtype("ids"), DType::i32);
  std::vector<int32_t> back(5);
  read.read("ids", view(back, {5}));
  EXPECT_EQ(values, back);
  const std::vector<int32_t> wide{3, 65536};
  testing::expect_error(ExitCode::kFailure, {"small", "'wide'", "65536"},
                        [&] { small.write("wide", view(wide, {2}), {.as_uint16 = true}); });
}

TEST(H5, AttributesAndLists) {
  H5File written = H5File::create_image("made");
  written.set_attribute("count", int64_t{-7'000'000'000});
  written.set_attribute("rate", 0.1);
  written.set_attribute("text", std::string("Grüße"));
  written.set_attribute("empty", std::string());
  const std::vector<float> one{1};
  for (const char* name : {"b", "a.weight", "deep/er/c"}) written.write(name, view(one, {1}));
  const H5File read = H5File::open_image(written.image(), "read");
  EXPECT_EQ(read.int_attribute("count"), -7'000'000'000);
  EXPECT_EQ(read.double_attribute("rate"), 0.1);
  EXPECT_EQ(read.string_attribute("text"), "Grüße");
  EXPECT_EQ(read.string_attribute("empty"), "");
  EXPECT_EQ(read.datasets(), (std::vector<std::string>{"a.weight", "b", "deep/er/c"}));
  EXPECT_TRUE(read.has_dataset("b"));
  EXPECT_FALSE(read.has_dataset("c"));
  EXPECT_TRUE(read.has_attribute("rate"));
  EXPECT_FALSE(read.has_attribute("rat"));
  testing::expect_error(ExitCode::kUsage, {"read", "'nothing'"},
                        [&] { read.int_attribute("nothing"); });
  testing::expect_error(ExitCode::kUsage, {"read", "'text'"}, [&] { read.int_attribute("text"); });
  testing::expect_error(ExitCode::kUsage, {"read", "'count'"},
                        [&] { read.string_attribute("count"); });
}

TEST(H5, ErrorsNameFileAndDataset) {
  H5File file = H5File::create_image("some.h5");
  const std::vector<float> values = numbered<float>(6);
  file.write("x", view(values, {2, 3}));
  std::vector<float> to(6);
  std::vector<double> wide(6);
  testing::expect_error(ExitCode::kUsage, {"some.h5", "'x'", "[3, 2]", "[2, 3]"}, [&] {
    file.read("x", view(to, {3, 2}));
  });
  testing::expect_error(ExitCode::kUsage, {"some.h5", "'x'", "f64", "f32"}, [&] {
    file.read("x", view(wide, {2, 3}));
  });
  testing::expect_error(ExitCode::kUsage, {"some.h5", "'y'"}, [&] {
    file.read("y", view(to, {2, 3}));
  });
  testing::expect_error(ExitCode::kFailure, {"some.h5", "'x'"}, [&] {
    file.write("x", view(values, {2, 3}));
  });
}

// Oracle: the values that Bob Jenkins gives in lookup3.c.
TEST(H5, Lookup3KnownAnswers) {
  EXPECT_EQ(lookup3({}), 0xdeadbeefu);
  EXPECT_EQ(lookup3(std::string("Four score and seven years ago")), 0x17770551u);
}

TEST(H5, EqualContentGivesEqualBytes) {
  const auto make = [] {
    H5File file = H5File::create_image("made");
    file.set_attribute("a", int64_t{1});
    file.write("group/x", view(numbered<float>(100), {10, 10}));
    return file.image();
  };
  EXPECT_EQ(make(), make());
}

TEST(H5, FilesWithOneNameAreTwoFiles) {
  H5File a = H5File::create_image("same"), b = H5File::create_image("same");
  a.write("x", view(std::vector<float>{1}, {1}));
  EXPECT_FALSE(b.has_dataset("x"));
  const H5File read_a = H5File::open_image(a.image(), "same");
  const H5File read_b = H5File::open_image(b.image(), "same");
  EXPECT_TRUE(read_a.has_dataset("x"));
  EXPECT_FALSE(read_b.has_dataset("x"));
}

TEST(H5, DiskAndMemoryAgree) {
  const testing::TemporaryFolder folder;
  H5File made = H5File::create_image("made");
  const std::vector<int32_t> values = numbered<int32_t>(1000);
  made.write("x", view(values, {1000}));
  write_durably(folder / "file.h5", made.image());
  const H5File first = H5File::open(folder / "file.h5");
  const H5File second = H5File::open(folder / "file.h5");  // no lock stands in the way
  std::vector<int32_t> back(1000);
  second.read("x", view(back, {1000}));
  EXPECT_EQ(values, back);
}

TEST(H5, NoFileAndNoHdf5) {
  const testing::TemporaryFolder folder;
  const std::string text = folder.file("text.h5", "not what it says").string();
  testing::expect_error(ExitCode::kUsage, {"/nowhere.h5"}, [] { H5File::open("/nowhere.h5"); });
  testing::expect_error(ExitCode::kUsage, {text}, [&] { H5File::open(text); });
  testing::expect_error(ExitCode::kUsage, {"none"}, [] { H5File::open_image({}, "none"); });
}

// Reads a file's one dataset of 4096 floats; empty if the library reports damage.
std::vector<float> read_or_nothing(const std::vector<char>& image) {
  try {
    const H5File file = H5File::open_image(image, "damaged");
    std::vector<float> values(4096);
    file.read("x", view(values, {64, 64}));
    return values;
  } catch (const Error&) {
    return {};
  }
}

TEST(H5, BitFlipsAndCutsAreReported) {
  H5File made = H5File::create_image("made");
  const std::vector<float> values = numbered<float>(4096);
  made.write("x", view(values, {64, 64}), {.chunk_rows = 16});
  const std::vector<char> image = made.image();
  ASSERT_EQ(read_or_nothing(image), values);
  std::mt19937 random(1);
  int reported = 0;
  for (int flip = 0; flip < 400; ++flip) {
    std::vector<char> damaged = image;
    const size_t bit = random() % (8 * image.size());
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const std::vector<float> read = read_or_nothing(damaged);
    reported += read.empty();
    ASSERT_TRUE(read.empty() || read == values) << "silent damage from bit " << bit;
  }
  EXPECT_GT(reported, 350);  // the rest hit bytes without meaning
  for (size_t size = 0; size < image.size(); size += image.size() / 13) {
    EXPECT_TRUE(read_or_nothing({image.begin(), image.begin() + size}).empty());
  }
}

// A failing call on a fresh thread must stay silent: the library's printing is set per thread.
TEST(H5, SilentOnEveryThread) {
  ::testing::internal::CaptureStderr();
  std::thread([] {
    testing::expect_error(ExitCode::kUsage, {"junk"}, [] {
      H5File::open_image(std::string("junk, much longer than any signature"), "junk");
    });
  }).join();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace funnel
