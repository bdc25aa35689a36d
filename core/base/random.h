// SPDX-License-Identifier: Apache-2.0
// Randomness without state: Philox 4x32-10 (Salmon et al., SC 2011) as a pure function of
// (seed, site, step, index). Nothing random is ever stored; a draw is made again where needed.
//
// `site` names a place in the forward pass by a path ("generator/encoder/block 1/layer 2/repeat 0")
// and never depends on the order of calls; `index` is the position in the *global* batch, so draws
// are the same on any number of ranks.
#pragma once

#include <Random123/philox.h>

#include <cstdint>
#include <string_view>

#include "core/base/host_device.h"

namespace funnel {

// A path, hashed as it grows: Site("generator") / "encoder" / 3.
class Site {
 public:
  constexpr explicit Site(std::string_view root) : hash_(append(0xcbf29ce484222325ull, root)) {}
  constexpr Site operator/(std::string_view name) const { return Site(append(mix(hash_), name)); }
  constexpr Site operator/(int64_t index) const {
    return Site(mix(hash_ ^ mix(static_cast<uint64_t>(index) + 0x9e3779b97f4a7c15ull)));
  }
  constexpr uint64_t hash() const { return hash_; }

  // The finaliser of splitmix64: every input bit reaches every output bit.
  FUNNEL_HD static constexpr uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }

 private:
  constexpr explicit Site(uint64_t hash) : hash_(hash) {}
  static constexpr uint64_t append(uint64_t hash, std::string_view text) {
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return hash;
  }
  uint64_t hash_;
};

struct RandomBits {
  uint32_t word[4];
};

// All draws of one site in one step.
struct RandomStream {
  uint64_t key = 0;
  uint64_t step = 0;

  RandomStream() = default;
  RandomStream(uint64_t seed, Site site, int64_t at_step)
      : key(Site::mix(seed) ^ site.hash()), step(static_cast<uint64_t>(at_step)) {}

  FUNNEL_HD RandomBits bits(uint64_t index) const {
    const r123::Philox4x32::ctr_type counter = {
        {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
         static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)}};
    const r123::Philox4x32::key_type k = {
        {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}};
    const r123::Philox4x32::ctr_type out = r123::Philox4x32()(counter, k);
    return RandomBits{{out.v[0], out.v[1], out.v[2], out.v[3]}};
  }
};

// Uniform in [0, 1), exact in a float: the upper 24 bits.
FUNNEL_HD inline float uniform01(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

}  // namespace funnel
