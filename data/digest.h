// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes and of files, as 64 lower-case hexadecimal digits.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace funnel {

std::string sha256(std::span<const char> bytes);

// The first 16 bytes of the SHA-256: enough to tell any number of texts apart.
using Digest128 = std::array<uint64_t, 2>;
Digest128 digest128(std::string_view text);

// Reads the file in pieces. Throws an input error naming the path when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace funnel
