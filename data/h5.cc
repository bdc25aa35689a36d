// SPDX-License-Identifier: Apache-2.0
// An H5File and its attributes; h5_dataset.cc has its datasets.
#include "data/h5.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "data/h5_handle.h"
#include "data/h5_superblock.h"

namespace funnel {
namespace {

using namespace h5;

static_assert(sizeof(hid_t) == sizeof(int64_t));

constexpr size_t kImageGrowth = size_t{4} << 20;

// No lock (some file systems have none), and the format whose metadata carries checksums.
hid_t access_properties() {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0) {
    H5Pset_file_locking(access, /*use=*/false, /*ignore_when_disabled=*/true);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  }
  return access;
}

// The same for files in memory that never touch the disk.
hid_t memory_access_properties() {
  const hid_t access = access_properties();
  if (access >= 0) H5Pset_fapl_core(access, kImageGrowth, /*backing_store=*/0);
  return access;
}

// The library takes two files in memory with equal names for one and the same file.
std::string unique_name(const std::string& name) {
  static std::atomic<int64_t> count{0};
  return concat(name, '#', count++);
}

}  // namespace

H5File H5File::open(const std::filesystem::path& path) {
  const Session session;
  const std::string name = path.string();
  FUNNEL_CHECK_INPUT(std::filesystem::exists(path), name, ": no such file");
  const Handle access(access_properties(), H5Pclose);
  const hid_t file = H5Fopen(name.c_str(), H5F_ACC_RDONLY, access);
  check_read(file >= 0, name, "it as an HDF5 file");
  return H5File(file, name);
}

H5File H5File::open_image(std::span<const char> image, std::string name) {
  const Session session;
  const Handle access(memory_access_properties(), H5Pclose);
  // The library copies the bytes; its parameter is not const.
  void* bytes = const_cast<char*>(image.data());
  check_read(!image.empty() && H5Pset_file_image(access, bytes, image.size()) >= 0, name,
             "the file");
  const hid_t file = H5Fopen(unique_name(name).c_str(), H5F_ACC_RDONLY, access);
  check_read(file >= 0, name, "it as an HDF5 file");
  return H5File(file, std::move(name));
}

H5File H5File::create_image(std::string name) {
  const Session session;
  const Handle access(memory_access_properties(), H5Pclose);
  const Handle layout(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  check_written(H5Pset_obj_track_times(layout, false) >= 0, name, "the file");
  const hid_t file = H5Fcreate(unique_name(name).c_str(), H5F_ACC_TRUNC, layout, access);
  check_written(file >= 0, name, "the file");
  return H5File(file, std::move(name));
}

H5File::~H5File() {
  const Session session;
  if (file_ >= 0) H5Fclose(file_);
}

H5File::H5File(H5File&& other) noexcept
    : file_(std::exchange(other.file_, -1)), name_(std::move(other.name_)) {}

H5File& H5File::operator=(H5File&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(name_, other.name_);
  return *this;
}

std::vector<char> H5File::image() const {
  const Session session;
  check_written(H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0, name_, "the file");
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  check_written(size > 0, name_, "the file");
  std::vector<char> bytes(static_cast<size_t>(size));
  check_written(H5Fget_file_image(file_, bytes.data(), bytes.size()) == size, name_, "the file");
  renew_superblock_checksum(bytes);
  return bytes;
}

void H5File::set_scalar(const std::string& attribute, int64_t type, const void* value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle target(H5Acreate2(file_, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                      H5Aclose);
  check_written(target.valid() && H5Awrite(target, type, value) >= 0, name_,
                quoted("attribute", attribute));
}

void H5File::set_attribute(const std::string& attribute, int64_t value) {
  const Session session;
  set_scalar(attribute, H5T_STD_I64LE, &value);
}

void H5File::set_attribute(const std::string& attribute, double value) {
  const Session session;
  set_scalar(attribute, H5T_IEEE_F64LE, &value);
}

void H5File::set_attribute(const std::string& attribute, const std::string& value) {
  const Session session;
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  // One more byte than the text: a string type of size 0 does not exist.
  check_written(type.valid() && H5Tset_size(type, value.size() + 1) >= 0 &&
                    H5Tset_cset(type, H5T_CSET_UTF8) >= 0,
                name_, quoted("attribute", attribute));
  set_scalar(attribute, type, value.c_str());
}

bool H5File::has_attribute(const std::string& attribute) const {
  const Session session;
  return H5Aexists(file_, attribute.c_str()) > 0;
}

void H5File::read_scalar(const std::string& attribute, int64_t type, void* value) const {
  const std::string what = quoted("attribute", attribute);
  FUNNEL_CHECK_INPUT(has_attribute(attribute), name_, ": no ", what);
  const Handle source(H5Aopen(file_, attribute.c_str(), H5P_DEFAULT), H5Aclose);
  check_read(source.valid(), name_, what);
  const Handle stored(H5Aget_type(source), H5Tclose);
  const Handle space(H5Aget_space(source), H5Sclose);
  check_read(stored.valid() && space.valid(), name_, what);
  FUNNEL_CHECK_INPUT(
      H5Tget_class(stored) == H5Tget_class(type) && H5Sget_simple_extent_npoints(space) == 1, name_,
      ": ", what, " has another type than expected");
  check_read(H5Aread(source, type, value) >= 0, name_, what);
}

int64_t H5File::int_attribute(const std::string& attribute) const {
  const Session session;
  int64_t value = 0;
  read_scalar(attribute, H5T_NATIVE_INT64, &value);
  return value;
}

double H5File::double_attribute(const std::string& attribute) const {
  const Session session;
  double value = 0;
  read_scalar(attribute, H5T_NATIVE_DOUBLE, &value);
  return value;
}

std::string H5File::string_attribute(const std::string& attribute) const {
  const Session session;
  FUNNEL_CHECK_INPUT(has_attribute(attribute), name_, ": no attribute '", attribute, "'");
  const Handle source(H5Aopen(file_, attribute.c_str(), H5P_DEFAULT), H5Aclose);
  const Handle type(source.valid() ? H5Aget_type(source) : -1, H5Tclose);
  check_read(type.valid(), name_, quoted("attribute", attribute));
  FUNNEL_CHECK_INPUT(H5Tget_class(type) == H5T_STRING, name_, ": attribute '", attribute,
                     "' is not a string");
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    read_scalar(attribute, type, &text);
    const std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(type), '\0');
  read_scalar(attribute, type, value.data());
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

}  // namespace funnel
