// SPDX-License-Identifier: Apache-2.0
// The datasets of an H5File whose rows are lists (HDF5's variable-length type).
#include "data/h5.h"
#include "data/h5_handle.h"

namespace funnel {
namespace {

using namespace h5;

// Lists that the library has allocated, given back at the end.
class LibraryLists {
 public:
  LibraryLists(hid_t type, hid_t space, int64_t count)
      : type_(type), space_(space), lists_(static_cast<size_t>(count), hvl_t{0, nullptr}) {}
  ~LibraryLists() { H5Dvlen_reclaim(type_, space_, H5P_DEFAULT, lists_.data()); }
  LibraryLists(const LibraryLists&) = delete;
  LibraryLists& operator=(const LibraryLists&) = delete;

  std::vector<hvl_t>& lists() { return lists_; }

 private:
  hid_t type_, space_;
  std::vector<hvl_t> lists_;
};

bool holds_integer_lists(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  if (!type.valid() || H5Tget_class(type) != H5T_VLEN) return false;
  const Handle element(H5Tget_super(type), H5Tclose);
  return element.valid() && H5Tget_class(element) == H5T_INTEGER && H5Tget_size(element) <= 4;
}

}  // namespace

bool H5File::is_list(const std::string& dataset) const {
  const Session session;
  const Handle source(H5Dopen2(file_, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  check_read(source.valid(), name_, quoted("dataset", dataset));
  return holds_integer_lists(source);
}

void H5File::read_lists(const std::string& dataset, int64_t first, int64_t count,
                        std::vector<int32_t>& values, std::vector<int64_t>& ends) const {
  const Session session;
  const std::string what = quoted("dataset", dataset);
  const Shape stored = shape(dataset);
  FUNNEL_CHECK_INPUT(stored.rank() == 1 && is_list(dataset), name_, ": ", what,
                     ": expected one list of integers a row");
  FUNNEL_CHECK_INPUT(first >= 0 && count >= 0 && first + count <= stored[0], name_, ": ", what,
                     ": expected rows [", first, ", ", first + count, "), found shape ", stored);
  values.clear();
  ends.clear();
  if (count == 0) return;
  const Handle source(H5Dopen2(file_, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  const auto begin = static_cast<hsize_t>(first), size = static_cast<hsize_t>(count);
  const Handle file_space(H5Dget_space(source), H5Sclose);
  const Handle memory_space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const Handle type(H5Tvlen_create(H5T_NATIVE_INT32), H5Tclose);
  check_read(
      file_space.valid() && memory_space.valid() && type.valid() &&
          H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &begin, nullptr, &size, nullptr) >= 0,
      name_, what);
  LibraryLists read(type, memory_space, count);
  check_read(H5Dread(source, type, memory_space, file_space, H5P_DEFAULT, read.lists().data()) >= 0,
             name_, what);
  for (const hvl_t& list : read.lists()) {
    const auto* element = static_cast<const int32_t*>(list.p);
    values.insert(values.end(), element, element + list.len);
    ends.push_back(static_cast<int64_t>(values.size()));
  }
}

}  // namespace funnel
