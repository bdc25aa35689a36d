// SPDX-License-Identifier: Apache-2.0
#include "parallel/step_word.h"

#include <algorithm>

#include "core/base/error.h"

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

}  // namespace funnel
