// SPDX-License-Identifier: Apache-2.0
// Byte sources that unpack another one: gzip by zlib, zstd by its own library. Behind
// byte_source.h, which chooses by the first bytes. Throw an input error naming `name` when the
// stream is damaged or ends in its middle.
#pragma once

#include <memory>
#include <string>

#include "data/byte_source.h"

namespace funnel {

std::unique_ptr<ByteSource> gzip_source(std::unique_ptr<ByteSource> packed, std::string name);
std::unique_ptr<ByteSource> zstd_source(std::unique_ptr<ByteSource> packed, std::string name);

}  // namespace funnel
