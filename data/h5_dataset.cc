// SPDX-License-Identifier: Apache-2.0
// The datasets of an H5File.
#include <algorithm>
#include <array>

#include "data/h5.h"
#include "data/h5_handle.h"

namespace funnel {
namespace {

using namespace h5;

constexpr int64_t kMebibyte = int64_t{1} << 20;

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
    case DType::bf16:
      break;  // no file holds it
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
    case DType::bf16:
      break;
  }
  return -1;
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

std::vector<std::string> H5File::datasets() const {
  const Session session;
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
  const Session session;
  return shape_of(open_dataset(file_, name_, dataset), name_, quoted("dataset", dataset));
}

DType H5File::dtype(const std::string& dataset) const {
  const Session session;
  return dtype_of_dataset(open_dataset(file_, name_, dataset), name_, quoted("dataset", dataset));
}

void H5File::write(const std::string& dataset, ConstTensor values, WriteOptions options) {
  const Session session;
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
  const Session session;
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

}  // namespace funnel
