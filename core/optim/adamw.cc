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

void adamw_step(Context& context, const OptimizerConfig& config, const AdamWStep& args) {
  const int64_t begin = args.first, end = args.first + args.values.elements();
  const AdamUpdate numbers = update_numbers(config, args);
  int64_t covered = begin;
  for (const DecayRun& run : args.runs) {
    const int64_t from = std::max(run.first, begin);
    const int64_t count = std::min(run.first + run.count, end) - from;
    if (count <= 0) continue;
    FUNNEL_CHECK(from == covered, "adamw_step: no run covers elements ", covered, " to ", from);
    AdamUpdate update = numbers;
    update.values = args.values.slice(from - begin, {count});
    update.moment1 = args.moment1.slice(from - begin, {count});
    update.moment2 = args.moment2.slice(from - begin, {count});
    update.grads = args.grads.slice(from - begin, {count});
    if (!run.decays) update.decay = 0.0;
    adam_update(context, update);
    covered = from + count;
  }
  FUNNEL_CHECK(covered == end, "adamw_step: no run covers elements ", covered, " to ", end);
}

}  // namespace funnel
