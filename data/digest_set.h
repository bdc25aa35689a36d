// SPDX-License-Identifier: Apache-2.0
// A set of digests that grows no further than it was made for: 20 bytes a digest.
#pragma once

#include <cstdint>
#include <vector>

#include "data/digest.h"

namespace funnel {

class DigestSet {
 public:
  // Room for `most` digests.
  explicit DigestSet(int64_t most) : slots_(static_cast<size_t>(most + most / 4 + 1)) {}

  // True if the digest is new. At most `most` different ones may come.
  bool insert(Digest128 digest) {
    // All zeros marks a free slot.
    if (digest == Digest128{}) digest[0] = 1;
    size_t slot = digest[0] % slots_.size();
    while (slots_[slot] != Digest128{}) {
      if (slots_[slot] == digest) return false;
      slot = slot + 1 == slots_.size() ? 0 : slot + 1;
    }
    slots_[slot] = digest;
    return true;
  }

 private:
  std::vector<Digest128> slots_;
};

}  // namespace funnel
