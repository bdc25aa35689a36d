// SPDX-License-Identifier: Apache-2.0
#include "tests/model/random_batch.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace funnel::testing {
namespace {

constexpr int32_t kMask = 0;

OwnedTensor no_flags(const BatchSizes& sizes) {
  const std::vector<double> zeros(sizes.batch * sizes.seq, 0.0);
  return OwnedTensor({sizes.batch, sizes.seq}, DType::u8, zeros, Device::cpu);
}

}  // namespace

RandomBatch::RandomBatch(const BatchSizes& sizes, uint64_t seed, Device device)
    : sizes_(sizes),
      input_ids_({sizes.batch, sizes.seq}, DType::i32,
                 random_integers({sizes.batch, sizes.seq}, DType::i32, sizes.vocab, seed).values(),
                 Device::cpu),
      masked_ids_({sizes.batch, sizes.seq}, DType::i32, input_ids_.values(), Device::cpu),
      segments_(no_flags(sizes)),
      hidden_(no_flags(sizes)),
      padded_(no_flags(sizes)),
      positions_({sizes.batch, sizes.predictions}, DType::i32, Device::cpu),
      targets_({sizes.batch, sizes.predictions}, DType::i32, Device::cpu),
      samples_({sizes.batch, sizes.predictions}, DType::i32,
               random_integers({sizes.batch, sizes.predictions}, DType::i32, sizes.vocab, ~seed)
                   .values(),
               Device::cpu) {
  std::mt19937_64 generator(seed);
  const auto at = [](const OwnedTensor& tensor, int64_t i) -> int32_t& {
    return tensor.tensor().as<int32_t>()[i];
  };
  const auto flag = [](const OwnedTensor& tensor, int64_t i) -> uint8_t& {
    return tensor.tensor().as<uint8_t>()[i];
  };
  for (int64_t b = 0; b < sizes.batch; ++b) {
    const int64_t row = b * sizes.seq;
    const int64_t text = sizes.padding && b % 2 == 1 ? sizes.seq - sizes.seq / 4 : sizes.seq;
    const int64_t border = 1 + text / 2 + b % 2;
    for (int64_t t = 0; t < sizes.seq; ++t) {
      flag(segments_, row + t) = t == 0 ? 2 : t >= border && t < text ? 1 : 0;
      flag(padded_, row + t) = flag(hidden_, row + t) = t >= text ? 1 : 0;
    }
    std::vector<int64_t> candidates(text - 1);
    std::iota(candidates.begin(), candidates.end(), 1);
    std::shuffle(candidates.begin(), candidates.end(), generator);
    for (int64_t k = 0; k < sizes.predictions; ++k) {
      const int64_t t = candidates.at(k), slot = b * sizes.predictions + k;
      at(positions_, slot) = static_cast<int32_t>(t);
      at(targets_, slot) = at(input_ids_, row + t);
      if (k == 0) at(samples_, slot) = at(targets_, slot);  // one draw happens to be right
      at(masked_ids_, row + t) = kMask;
      if (sizes.hide_masked) flag(hidden_, row + t) = 1;
    }
  }
  if (device == Device::cpu) return;
  for (OwnedTensor* tensor : {&input_ids_, &masked_ids_, &segments_, &hidden_, &padded_,
                              &positions_, &targets_, &samples_}) {
    const Tensor& host = tensor->tensor();
    *tensor = OwnedTensor(host.shape(), host.dtype(), tensor->values(), device);
  }
}

PretrainBatch RandomBatch::examples(int64_t first, int64_t count) const {
  const auto rows = [&](const OwnedTensor& tensor) {
    const ConstTensor all = tensor;
    return all.slice(first * all.cols(), {count, all.cols()});
  };
  PretrainBatch batch{.input_ids = rows(input_ids_),
                      .masked_ids = rows(masked_ids_),
                      .segments = rows(segments_),
                      .hidden = rows(hidden_),
                      .padded = rows(padded_),
                      .positions = rows(positions_),
                      .targets = rows(targets_),
                      .samples = rows(samples_),
                      .tokens = 0,
                      .absent_targets = 0};
  for (double padded : values_of(batch.padded)) batch.tokens += padded == 0 ? 1 : 0;
  return batch;
}

}  // namespace funnel::testing
