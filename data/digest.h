// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes and of files, as 64 lower-case hexadecimal digits.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace funnel {

std::string sha256(std::span<const char> bytes);

// Reads the file in pieces. Throws an input error naming the path when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace funnel
