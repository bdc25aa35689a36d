// SPDX-License-Identifier: Apache-2.0
// A repair that images of HDF5 files in the latest format need: H5Fget_file_image() of HDF5 1.10
// clears the superblock's "open for writing" flag without renewing the checksum over it, so that
// the image cannot be opened. Layout: HDF5 File Format Specification, "Disk Format: Level 0A".
#pragma once

#include <cstdint>
#include <span>

namespace funnel {

// Overwrites the checksum of a superblock of version 2 or 3 with 8-byte offsets; leaves all other
// bytes, and images that begin in any other way, as they are.
void renew_superblock_checksum(std::span<char> image);

// Bob Jenkins' lookup3 hash of the bytes, as HDF5 uses it for metadata.
uint32_t lookup3(std::span<const char> bytes);

}  // namespace funnel
