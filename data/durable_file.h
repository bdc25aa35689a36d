// SPDX-License-Identifier: Apache-2.0
// Whole files, written so that a crash or a power cut leaves either the old file or the new one.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace funnel {

// Writes the bytes under a temporary name in the same folder, forces them to the disk, renames
// over `path` and forces the folder. On failure throws an Error naming the path and the cause
// (a full disk among them); the temporary file is removed and `path` is as before, except when
// forcing the folder fails: then the new file is in place but may not survive a power cut.
void write_durably(const std::filesystem::path& path, std::span<const char> bytes);

// Forces a folder's entries (new names, renames) to the disk.
void sync_folder(const std::filesystem::path& folder);

// The whole file. Throws an input error naming the path when it cannot be read.
std::vector<char> read_file(const std::filesystem::path& path);

// The same as text.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace funnel
