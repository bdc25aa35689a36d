// SPDX-License-Identifier: Apache-2.0
#include "core/ops/digest.h"

#include "core/backend/launch.h"
#include "core/base/random.h"

namespace funnel {
namespace {

// The sum, modulo 2^64, of a bijection of (place, word) over all words: sums of whole numbers do
// not depend on their order, and one changed word changes its term.
constexpr int64_t kChunkWords = 4096;

struct DigestChunk {
  const uint32_t* words;
  int64_t n;
  uint64_t* partial;  // [chunks]

  template <class Team>
  FUNNEL_HD void operator()(int64_t chunk, const Team& team) const {
    const int64_t first = chunk * kChunkWords;
    const uint32_t* in = words + first;
    const uint64_t sum = team.sum(
        first + kChunkWords < n ? kChunkWords : n - first,
        [=](int64_t i) { return Site::mix(static_cast<uint64_t>(first + i) << 32 | in[i]); });
    if (team.leader()) partial[chunk] = sum;
  }
};

struct JoinDigests {
  const uint64_t* partial;
  int64_t chunks, words;
  double* parts;

  template <class Team>
  FUNNEL_HD void operator()(int64_t, const Team& team) const {
    const uint64_t* in = partial;
    const uint64_t sum = team.sum(chunks, [=](int64_t i) { return in[i]; });
    if (!team.leader()) return;
    const uint64_t digest = Site::mix(sum + static_cast<uint64_t>(words));
    for (int part = 0; part < 4; ++part) {
      parts[part] = static_cast<double>((digest >> (16 * part)) & 0xffff);
    }
  }
};

}  // namespace

void digest_bits(Context& context, ConstTensor x, Tensor parts) {
  check_shape("digest_bits: parts", parts, {4});
  FUNNEL_CHECK(x.dtype() == DType::f32 || x.dtype() == DType::f64,
               "digest_bits: expected f32 or f64, found ", name_of(x.dtype()));
  const int64_t words = x.bytes() / 4;
  const int64_t chunks = (words + kChunkWords - 1) / kChunkWords;
  Scratch scratch(context.scratch());
  auto* partial = static_cast<uint64_t*>(scratch.tensor({chunks}, DType::f64).data());
  for_each_row(context, chunks, DigestChunk{static_cast<const uint32_t*>(x.data()), words, partial},
               kChunkWords);
  for_each_row(context, 1, JoinDigests{partial, chunks, words, parts.as<double>()});
}

}  // namespace funnel
