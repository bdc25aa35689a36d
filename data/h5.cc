// SPDX-License-Identifier: Apache-2.0
#include "data/h5.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "data/h5_superblock.h"

namespace funnel {
namespace {

static_assert(sizeof(hid_t) == sizeof(int64_t));

constexpr int64_t kMebibyte = int64_t{1} << 20;

// A handle that is closed by the matching function.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// The library keeps one error stack, and one decision to print it, per thread.
void silence() {
  thread_local const herr_t silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)silenced;
}

herr_t take_description(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

// What the library's innermost function says about its last failure.
std::string cause() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_description, &text);
  return text.empty() ? std::string("no reason given") : text;
}

// Damaged or foreign content is an input error; `what` is "dataset 'x'" or the like.
void check_read(bool done, const std::string& file, const std::string& what) {
  if (!done) throw_usage(file, ": cannot read ", what, " (HDF5: ", cause(), ")");
}

void check_written(bool done, const std::string& file, const std::string& what) {
  if (!done) throw Error(concat(file, ": cannot write ", what, " (HDF5: ", cause(), ")"));
}

std::string quoted(const char* kind, const std::string& name) {
  return concat(kind, " '", name, "'");
}

hid_t memory_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return H5T_NATIVE_FLOAT;
    case DType::f64:
      return H5T_NATIVE_DOUBLE;
    case DType::i32:
      return H5T_NATIVE_INT32;
    case DType::u8:
      return H5T_NATIVE_UINT8;
  }
  return -1;
}

// Fixed little-endian types, so that a file means the same on every machine.
hid_t file_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return H5T_IEEE_F32LE;
    case DType::f64:
      return H5T_IEEE_F64LE;
    case DType::i32:
      return H5T_STD_I32LE;
    case DType::u8:
      return H5T_STD_U8LE;
  }
  return -1;
}

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
  if (access >= 0) H5Pset_fapl_core(access, 4 * kMebibyte, /*backing_store=*/0);
  return access;
}

// The library takes two files in memory with equal names for one and the same file.
std::string unique_name(const std::string& name) {
  static std::atomic<int64_t> count{0};
  return concat(name, '#', count++);
}

Handle open_dataset(hid_t file, const std::string& name, const std::string& dataset) {
  const hid_t id = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  check_read(id >= 0, name, quoted("dataset", dataset));
  return Handle(id, H5Dclose);
}

Shape shape_of(hid_t dataset, const std::string& file, const std::string& what) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space) : -1;
  check_read(rank >= 0, file, what);
  FUNNEL_CHECK_INPUT(rank <= Shape::kMaxRank, file, ": ", what, ": expected rank <= 4, found ",
                     rank);
  std::array<hsize_t, Shape::kMaxRank> extents{};
  check_read(H5Sget_simple_extent_dims(space, extents.data(), nullptr) == rank, file, what);
  const auto extent = [&](int axis) { return static_cast<int64_t>(extents[axis]); };
  switch (rank) {
    case 0:
      return {};
    case 1:
      return {extent(0)};
    case 2:
      return {extent(0), extent(1)};
    case 3:
      return {extent(0), extent(1), extent(2)};
    default:
      return {extent(0), extent(1), extent(2), extent(3)};
  }
}

DType dtype_of_dataset(hid_t dataset, const std::string& file, const std::string& what) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  check_read(type.valid(), file, what);
  const H5T_class_t kind = H5Tget_class(type);
  const size_t size = H5Tget_size(type);
  if (kind == H5T_FLOAT && size == 4) return DType::f32;
  if (kind == H5T_FLOAT && size == 8) return DType::f64;
  if (kind == H5T_INTEGER) {
    const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    if (size == 1 && !is_signed) return DType::u8;
    if (size <= 2 || (size == 4 && is_signed)) return DType::i32;
  }
  throw_usage(file, ": ", what, ": expected elements of f32, f64, i32, u16 or u8, found ",
              kind == H5T_FLOAT     ? "a float"
              : kind == H5T_INTEGER ? "an integer"
                                    : "another type",
              " of ", size, " bytes");
}

void check_fits_uint16(const std::string& file, const std::string& what, ConstTensor values) {
  FUNNEL_CHECK(values.dtype() == DType::i32, file, ": ", what,
               ": only i32 can be stored in 16 bits, found ", name_of(values.dtype()));
  const int32_t* value = values.as<int32_t>();
  for (int64_t i = 0; i < values.elements(); ++i) {
    FUNNEL_CHECK(value[i] >= 0 && value[i] <= 65535, file, ": ", what, ": element ", i, " is ",
                 value[i], ", which 16 bits cannot hold");
  }
}

// The creation properties of a dataset: checksummed chunks of whole rows, no time stamps.
hid_t dataset_layout(const Shape& shape, DType dtype, int64_t chunk_rows) {
  const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
  if (layout < 0) return layout;
  H5Pset_obj_track_times(layout, false);
  // An empty dataset has no chunks.
  if (shape.elements() == 0) return layout;
  const int64_t row_bytes = shape.elements() / shape[0] * size_of(dtype);
  if (chunk_rows <= 0) chunk_rows = std::max<int64_t>(1, kMebibyte / row_bytes);
  std::array<hsize_t, Shape::kMaxRank> chunk{};
  for (int axis = 0; axis < shape.rank(); ++axis) chunk[axis] = static_cast<hsize_t>(shape[axis]);
  chunk[0] = static_cast<hsize_t>(std::min(chunk_rows, shape[0]));
  H5Pset_chunk(layout, shape.rank(), chunk.data());
  H5Pset_fletcher32(layout);
  return layout;
}

herr_t take_dataset(hid_t group, const char* name, const H5O_info_t* info, void* names) {
  (void)group;
  if (info->type == H5O_TYPE_DATASET)
    static_cast<std::vector<std::string>*>(names)->push_back(name);
  return 0;
}

}  // namespace

H5File H5File::open(const std::filesystem::path& path) {
  silence();
  const std::string name = path.string();
  FUNNEL_CHECK_INPUT(std::filesystem::exists(path), name, ": no such file");
  const Handle access(access_properties(), H5Pclose);
  const hid_t file = H5Fopen(name.c_str(), H5F_ACC_RDONLY, access);
  check_read(file >= 0, name, "it as an HDF5 file");
  return H5File(file, name);
}

H5File H5File::open_image(std::span<const char> image, std::string name) {
  silence();
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
  silence();
  const Handle access(memory_access_properties(), H5Pclose);
  const Handle layout(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  check_written(H5Pset_obj_track_times(layout, false) >= 0, name, "the file");
  const hid_t file = H5Fcreate(unique_name(name).c_str(), H5F_ACC_TRUNC, layout, access);
  check_written(file >= 0, name, "the file");
  return H5File(file, std::move(name));
}

H5File::~H5File() {
  silence();
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
  silence();
  check_written(H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0, name_, "the file");
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  check_written(size > 0, name_, "the file");
  std::vector<char> bytes(static_cast<size_t>(size));
  check_written(H5Fget_file_image(file_, bytes.data(), bytes.size()) == size, name_, "the file");
  renew_superblock_checksum(bytes);
  return bytes;
}

std::vector<std::string> H5File::datasets() const {
  silence();
  std::vector<std::string> names;
  check_read(
      H5Ovisit2(file_, H5_INDEX_NAME, H5_ITER_INC, take_dataset, &names, H5O_INFO_BASIC) >= 0,
      name_, "the list of datasets");
  std::sort(names.begin(), names.end());
  return names;
}

bool H5File::has_dataset(const std::string& dataset) const {
  const std::vector<std::string> names = datasets();
  return std::binary_search(names.begin(), names.end(), dataset);
}

Shape H5File::shape(const std::string& dataset) const {
  silence();
  return shape_of(open_dataset(file_, name_, dataset), name_, quoted("dataset", dataset));
}

DType H5File::dtype(const std::string& dataset) const {
  silence();
  return dtype_of_dataset(open_dataset(file_, name_, dataset), name_, quoted("dataset", dataset));
}

void H5File::write(const std::string& dataset, ConstTensor values, WriteOptions options) {
  silence();
  const std::string what = quoted("dataset", dataset);
  const Shape& shape = values.shape();
  FUNNEL_CHECK(shape.rank() >= 1, name_, ": ", what, ": expected rank >= 1, found a scalar");
  FUNNEL_CHECK(values.device() == Device::cpu, name_, ": ", what, ": expected host memory");
  if (options.as_uint16) check_fits_uint16(name_, what, values);
  std::array<hsize_t, Shape::kMaxRank> extents{};
  for (int axis = 0; axis < shape.rank(); ++axis) extents[axis] = static_cast<hsize_t>(shape[axis]);
  const Handle space(H5Screate_simple(shape.rank(), extents.data(), nullptr), H5Sclose);
  const Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  const Handle layout(dataset_layout(shape, values.dtype(), options.chunk_rows), H5Pclose);
  check_written(space.valid() && layout.valid() && H5Pset_create_intermediate_group(links, 1) >= 0,
                name_, what);
  const hid_t stored = options.as_uint16 ? H5T_STD_U16LE : file_type(values.dtype());
  const Handle target(H5Dcreate2(file_, dataset.c_str(), stored, space, links, layout, H5P_DEFAULT),
                      H5Dclose);
  check_written(target.valid(), name_, what);
  if (values.elements() == 0) return;
  check_written(H5Dwrite(target, memory_type(values.dtype()), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                         values.data()) >= 0,
                name_, what);
}

void H5File::read(const std::string& dataset, Tensor to) const {
  const Shape found = shape(dataset);
  FUNNEL_CHECK_INPUT(found == to.shape(), name_, ": dataset '", dataset, "': expected shape ",
                     to.shape(), ", found ", found);
  read_rows(dataset, 0, to);
}

void H5File::read_rows(const std::string& dataset, int64_t first, Tensor to) const {
  silence();
  const std::string what = quoted("dataset", dataset);
  const Handle source = open_dataset(file_, name_, dataset);
  const Shape stored = shape_of(source, name_, what);
  const DType dtype = dtype_of_dataset(source, name_, what);
  FUNNEL_CHECK_INPUT(dtype == to.dtype(), name_, ": ", what, ": expected elements of ",
                     name_of(to.dtype()), ", found ", name_of(dtype));
  FUNNEL_CHECK_INPUT(stored.rank() == to.shape().rank(), name_, ": ", what, ": expected rank ",
                     to.shape().rank(), ", found ", stored.rank());
  std::array<hsize_t, Shape::kMaxRank> begin{}, count{};
  for (int axis = 0; axis < stored.rank(); ++axis) {
    count[axis] = static_cast<hsize_t>(to.shape()[axis]);
    const bool fits = axis == 0 ? first >= 0 && first + to.shape()[0] <= stored[0]
                                : stored[axis] == to.shape()[axis];
    FUNNEL_CHECK_INPUT(fits, name_, ": ", what, ": expected rows [", first, ", ",
                       first + to.shape()[0], ") of shape ", to.shape(), ", found shape ", stored);
  }
  if (to.elements() == 0) return;
  begin[0] = static_cast<hsize_t>(first);
  const Handle file_space(H5Dget_space(source), H5Sclose);
  const Handle memory_space(stored.rank() == 0
                                ? H5Screate(H5S_SCALAR)
                                : H5Screate_simple(stored.rank(), count.data(), nullptr),
                            H5Sclose);
  check_read(file_space.valid() && memory_space.valid(), name_, what);
  if (stored.rank() > 0) {
    check_read(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, begin.data(), nullptr, count.data(),
                                   nullptr) >= 0,
               name_, what);
  }
  check_read(
      H5Dread(source, memory_type(dtype), memory_space, file_space, H5P_DEFAULT, to.data()) >= 0,
      name_, what);
}

void H5File::set_scalar(const std::string& attribute, int64_t type, const void* value) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle target(H5Acreate2(file_, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                      H5Aclose);
  check_written(target.valid() && H5Awrite(target, type, value) >= 0, name_,
                quoted("attribute", attribute));
}

void H5File::set_attribute(const std::string& attribute, int64_t value) {
  silence();
  set_scalar(attribute, H5T_STD_I64LE, &value);
}

void H5File::set_attribute(const std::string& attribute, double value) {
  silence();
  set_scalar(attribute, H5T_IEEE_F64LE, &value);
}

void H5File::set_attribute(const std::string& attribute, const std::string& value) {
  silence();
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  // One more byte than the text: a string type of size 0 does not exist.
  check_written(type.valid() && H5Tset_size(type, value.size() + 1) >= 0 &&
                    H5Tset_cset(type, H5T_CSET_UTF8) >= 0,
                name_, quoted("attribute", attribute));
  set_scalar(attribute, type, value.c_str());
}

bool H5File::has_attribute(const std::string& attribute) const {
  silence();
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
  silence();
  int64_t value = 0;
  read_scalar(attribute, H5T_NATIVE_INT64, &value);
  return value;
}

double H5File::double_attribute(const std::string& attribute) const {
  silence();
  double value = 0;
  read_scalar(attribute, H5T_NATIVE_DOUBLE, &value);
  return value;
}

std::string H5File::string_attribute(const std::string& attribute) const {
  silence();
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
