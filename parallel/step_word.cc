// SPDX-License-Identifier: Apache-2.0
#include "parallel/step_word.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/error.h"
#include "core/base/random.h"

namespace funnel {
namespace {

// A digest travels as four 16-bit parts d and their squares. By Cauchy and Schwarz
// R * sum(d^2) >= sum(d)^2, with equality exactly when all R parts are equal. Up to 2^16 ranks both
// sides are whole numbers below 2^64 and the sums below 2^53, so every rank decides alike, exactly.
constexpr int kParts = 4;
constexpr int kStop = 0;
constexpr int kNonFinite = 1;
constexpr int kFirstPart = 2;
constexpr int kFlags = kFirstPart + 2 * kParts;

}  // namespace

StepWord::StepWord(int64_t values, int64_t shards)
    : memory_(Device::cpu, (values + kFlags) * size_of(DType::f64)),
      values_(memory_.tensor({values}, DType::f64)),
      flags_(memory_.tensor({values + kFlags}, DType::f64).slice(values, {kFlags})),
      tree_(values_, shards) {}

std::span<double> StepWord::values() {
  return {values_.as<double>(), static_cast<size_t>(values_.elements())};
}

void StepWord::fold_shard() {
  tree_.fold();
}

StepWord::Agreed StepWord::reduce(Comm& comm, const OfRank& mine) {
  double* flags = flags_.as<double>();
  flags[kStop] = mine.stop;
  flags[kNonFinite] = mine.non_finite;
  for (int part = 0; part < kParts; ++part) {
    const auto d = static_cast<double>((mine.replica_digest >> (16 * part)) & 0xffff);
    flags[kFirstPart + 2 * part] = d;
    flags[kFirstPart + 2 * part + 1] = d * d;
  }
  comm.all_reduce_sum(memory_.tensor({values_.elements() + kFlags}, DType::f64));

  Agreed agreed{
      .stop = flags[kStop] > 0, .non_finite = flags[kNonFinite] > 0, .replicas_agree = true};
  for (int part = 0; part < kParts; ++part) {
    const auto sum = static_cast<uint64_t>(flags[kFirstPart + 2 * part]);
    const auto squares = static_cast<uint64_t>(flags[kFirstPart + 2 * part + 1]);
    if (squares * static_cast<uint64_t>(comm.size()) != sum * sum) agreed.replicas_agree = false;
  }
  return agreed;
}

uint64_t replica_digest(ConstTensor tensor) {
  // Each step of a lane is a bijection of its state for a given word, and of the word for a given
  // state, so one changed word changes its lane for good.
  constexpr int kLanes = 16;
  std::array<uint32_t, kLanes> low;
  std::array<uint32_t, kLanes> high;
  for (int lane = 0; lane < kLanes; ++lane) {
    low[lane] = 0x9e3779b9u * (lane + 1);
    high[lane] = 0x85ebca6bu * (lane + 1);
  }
  const char* data = static_cast<const char*>(tensor.data());
  const int64_t bytes = tensor.bytes();
  constexpr int64_t kBlock = kLanes * sizeof(uint32_t);
  for (int64_t at = 0; at < bytes; at += kBlock) {
    std::array<uint32_t, kLanes> words{};
    std::memcpy(words.data(), data + at, std::min(kBlock, bytes - at));
    for (int lane = 0; lane < kLanes; ++lane) {
      low[lane] = (low[lane] ^ words[lane]) * 0xcc9e2d51u;
      low[lane] ^= low[lane] >> 15;
      high[lane] = (high[lane] + words[lane]) * 0x1b873593u;
      high[lane] ^= high[lane] >> 13;
    }
  }
  uint64_t digest = static_cast<uint64_t>(bytes);
  for (int lane = 0; lane < kLanes; ++lane) {
    digest = Site::mix(digest ^ (static_cast<uint64_t>(high[lane]) << 32 | low[lane]));
  }
  return digest;
}

}  // namespace funnel
