// SPDX-License-Identifier: Apache-2.0
// Where the chunks of an H5File's dataset lie.
#include <array>

#include "data/h5.h"
#include "data/h5_handle.h"

namespace funnel {
namespace {

using namespace h5;

constexpr int64_t kChecksumBytes = 4;

// 2 for unsigned 16-bit, 4 for signed 32-bit elements, both little-endian; else 0.
int64_t element_bytes_of(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  if (!type.valid()) return 0;
  if (H5Tequal(type, H5T_STD_U16LE) > 0) return 2;
  return H5Tequal(type, H5T_STD_I32LE) > 0 ? 4 : 0;
}

// The only filter is the checksum, and a chunk holds whole rows: how many, else 0.
hsize_t checksummed_rows(hid_t dataset, int rank, int64_t columns) {
  const Handle layout(H5Dget_create_plist(dataset), H5Pclose);
  if (!layout.valid() || H5Pget_layout(layout) != H5D_CHUNKED || H5Pget_nfilters(layout) != 1)
    return 0;
  unsigned flags = 0;
  size_t values = 0;
  if (H5Pget_filter2(layout, 0, &flags, &values, nullptr, 0, nullptr, nullptr) !=
      H5Z_FILTER_FLETCHER32)
    return 0;
  std::array<hsize_t, 2> chunk{0, 1};
  if (H5Pget_chunk(layout, rank, chunk.data()) != rank) return 0;
  return static_cast<int64_t>(chunk[1]) == columns ? chunk[0] : 0;
}

// The chunk that begins at a row; -1 if it is not stored as it should be.
int64_t chunk_offset(hid_t dataset, hsize_t row, int64_t bytes) {
  const std::array<hsize_t, 2> at{row, 0};
  unsigned left_out = 0;  // filters that were not applied
  haddr_t address = HADDR_UNDEF;
  hsize_t size = 0;
  const bool found =
      H5Dget_chunk_info_by_coord(dataset, at.data(), &left_out, &address, &size) >= 0;
  const bool sound = found && left_out == 0 && address != HADDR_UNDEF &&
                     size == static_cast<hsize_t>(bytes + kChecksumBytes);
  return sound ? static_cast<int64_t>(address) : -1;
}

}  // namespace

H5ChunkTable H5File::chunk_table(const std::string& dataset) const {
  const Session session;
  const Shape stored = shape(dataset);
  const std::string what = quoted("dataset", dataset);
  const Handle source(H5Dopen2(file_, dataset.c_str(), H5P_DEFAULT), H5Dclose);
  check_read(source.valid(), name_, what);
  FUNNEL_CHECK_INPUT(stored.rank() == 1 || stored.rank() == 2, name_, ": ", what,
                     ": expected rank 1 or 2, found shape ", stored);
  H5ChunkTable table{.rows = stored[0],
                     .columns = stored.rank() == 2 ? stored[1] : 1,
                     .element_bytes = element_bytes_of(source),
                     .offsets = {}};
  table.chunk_rows = static_cast<int64_t>(checksummed_rows(source, stored.rank(), table.columns));
  FUNNEL_CHECK_INPUT(table.element_bytes > 0 && table.chunk_rows > 0, name_, ": ", what,
                     ": expected u16 or i32 in chunks of whole rows with a fletcher32 checksum "
                     "and no other filter");
  for (int64_t row = 0; row < table.rows; row += table.chunk_rows) {
    const int64_t offset = chunk_offset(source, static_cast<hsize_t>(row), table.chunk_bytes());
    FUNNEL_CHECK_INPUT(offset >= 0, name_, ": ", what, ": the chunk of row ", row,
                       " is missing or of another size than the rest");
    table.offsets.push_back(offset);
  }
  return table;
}

}  // namespace funnel
