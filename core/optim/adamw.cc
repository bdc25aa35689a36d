// SPDX-License-Identifier: Apache-2.0
#include "core/optim/adamw.h"

#include <algorithm>
#include <cmath>

#include "core/ops/adam.h"

namespace funnel {
namespace {

// The three forms as the numbers of one update. With c1 = 1 - beta1^t and c2 = 1 - beta2^t, the
// usual form's (m / c1) / (sqrt(v / c2) + epsilon) is sqrt(c2) / c1 * m / (sqrt(v) + epsilon
// sqrt(c2)).
AdamUpdate update_numbers(const OptimizerConfig& config, const AdamWStep& args) {
  const double t = static_cast<double>(args.step + 1);
  const double root2 = std::sqrt(1.0 - std::pow(config.beta2, t));
  const double correction = root2 / (1.0 - std::pow(config.beta1, t));
  AdamUpdate update;
  update.gradient_factor = args.gradient_factor;
  update.factor = args.factor;
  update.beta1 = config.beta1;
  update.beta2 = config.beta2;
  update.epsilon = config.epsilon;
  update.rate = args.learning_rate;
  update.decay = args.learning_rate * config.weight_decay;
  switch (config.update_form) {
    case UpdateForm::reference:
      update.rate *= correction;
      update.decay *= correction;
      break;
    case UpdateForm::usual:
      update.rate *= correction;
      update.epsilon *= root2;
      break;
    case UpdateForm::no_correction:
      break;
  }
  return update;
}

}  // namespace

std::vector<DecayRun> join_runs(std::span<const DecayRun> runs) {
  std::vector<DecayRun> joined;
  for (const DecayRun& run : runs) {
    if (joined.empty()) {
      joined.push_back(run);
      continue;
    }
    DecayRun& last = joined.back();
    FUNNEL_CHECK(run.first >= last.first + last.count, "join_runs: a run at ", run.first,
                 " begins before the end of the one before, ", last.first + last.count);
    if (run.decays == last.decays) {
      last.count = run.first + run.count - last.first;
    } else {
      last.count = run.first - last.first;
      joined.push_back(run);
    }
  }
  return joined;
}

std::vector<DecayRun> decay_runs(const Params& params, DecayExclusions exclusions) {
  std::vector<DecayRun> runs;
  for (const Param& param : params.all()) {
    const bool decays = exclusions == DecayExclusions::none || param.decays_always();
    runs.push_back({param.offset, param.shape.elements(), decays});
  }
  // The last parameter's run also covers the gap behind it.
  runs.back().count = params.flat_elements() - runs.back().first;
  return join_runs(runs);
}

UpdateTable::UpdateTable(Context& context, std::span<const DecayRun> runs, int64_t first,
                         int64_t count)
    : count_(count) {
  constexpr int64_t kChunk = 4096;  // elements; enough of them for every core of a device
  const int64_t end = first + count;
  std::vector<AdamChunk> chunks;
  int64_t covered = first;
  for (const DecayRun& run : runs) {
    const int64_t from = std::max(run.first, first), to = std::min(run.first + run.count, end);
    if (to <= from) continue;
    FUNNEL_CHECK(from == covered, "UpdateTable: no run covers elements ", covered, " to ", from);
    for (int64_t at = from; at < to; at += kChunk) {
      chunks.push_back({.first = at - first,
                        .count = static_cast<int32_t>(std::min(kChunk, to - at)),
                        .decays = run.decays});
    }
    covered = to;
  }
  FUNNEL_CHECK(covered == end, "UpdateTable: no run covers elements ", covered, " to ", end);
  const auto bytes = static_cast<int64_t>(chunks.size() * sizeof(AdamChunk));
  memory_ = Buffer(context.device(), bytes);
  context.upload(ConstTensor(chunks.data(), {bytes}, DType::u8),
                 memory_.tensor({bytes}, DType::u8));
  context.synchronize();
}

ConstTensor UpdateTable::chunks() const {
  return memory_.tensor({memory_.bytes()}, DType::u8);
}

void adamw_step(Context& context, const OptimizerConfig& config, const AdamWStep& args) {
  FUNNEL_CHECK(args.table.count() == args.values.elements(), "adamw_step: expected ",
               args.table.count(), " elements, found ", args.values.elements());
  AdamUpdate update = update_numbers(config, args);
  update.values = args.values;
  update.moment1 = args.moment1;
  update.moment2 = args.moment2;
  update.copy = args.rounded;
  update.grads = args.grads;
  update.chunks = args.table.chunks();
  adam_update(context, update);
}

}  // namespace funnel
