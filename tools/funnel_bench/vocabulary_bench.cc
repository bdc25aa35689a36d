// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/ops/vocabulary_loss.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

constexpr int64_t kRows = 16;  // that are checked

class VocabularyBench {
 public:
  VocabularyBench(Context& context, DType dtype, int64_t rows, int64_t vocab)
      : context_(context),
        dtype_(dtype),
        rows_(rows),
        vocab_(vocab),
        ids_(static_cast<size_t>(rows)),
        pool_(context, dtype, rows * vocab),
        memory_(context.device()),
        stream_(1, Site("bench draws"), 0) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = static_cast<int32_t>(Site::mix(i) % uint64_t(vocab));
    }
    targets_ = memory_.tensor({rows}, DType::i32);
    context.upload(ConstTensor(ids_.data(), {rows}, DType::i32), targets_);
    context.synchronize();
    given_ = pool_.tensor({rows, vocab});
    logits_ = memory_.tensor({rows, vocab}, dtype);
    loss_ = memory_.tensor({rows}, compute_dtype(dtype));
    correct_ = memory_.tensor({rows}, DType::u8);
    samples_ = memory_.tensor({rows}, DType::i32);
  }

  // Each logit is read and becomes its gradient.
  CheckedCase loss_draw_and_gradient() {
    Measurement row{.name = concat("vocabulary loss, draw, gradient ", rows_, "x", vocab_),
                    .part = "forward, backward",
                    .path = {}};
    row.dtype = dtype_;
    row.bytes = 2.0 * static_cast<double>(logits_.bytes());
    row.tolerance = dtype_ == DType::bf16 ? 1e-2 : 3e-5;
    return {.row = row,
            .outputs = {logits_, loss_, samples_},
            .begin =
                [this] {
                  context_.copy(given_, logits_);
                  for (const Tensor& one : {loss_, samples_}) poison(context_, one);
                },
            .work =
                [this] {
                  vocabulary_loss(context_, {.logits = logits_,
                                             .targets = targets_,
                                             .loss = loss_,
                                             .correct = correct_,
                                             .wants_gradient = true,
                                             .factor = factor(),
                                             .samples = samples_,
                                             .stream = stream_});
                },
            .error = [this] { return error(); }};
  }

 private:
  double factor() const { return 1.0 / static_cast<double>(rows_); }

  // What decides a draw: the largest wins. A uniform number near 1 is an f32, whatever is added.
  double score(int64_t row, int64_t token) const {
    const int64_t call = row * ((vocab_ + 3) / 4) + token / 4;
    const float u = uniform01(stream_.bits(static_cast<uint64_t>(call)).word[token % 4]) + 1e-9F;
    return pool_.value(given_, row * vocab_ + token) -
           std::log(-std::log(static_cast<double>(u)) + 1e-9);
  }

  double error() {
    std::vector<int32_t> drawn(static_cast<size_t>(rows_));
    context_.download(samples_, Tensor(drawn.data(), {rows_}, DType::i32));
    const HostCopy losses(context_, loss_);
    Deviation loss, gradient, draws;
    for (const int64_t row : sampled_rows(rows_, kRows)) {
      const int64_t target = ids_[static_cast<size_t>(row)];
      const int32_t token = drawn[static_cast<size_t>(row)];
      if (token < 0 || token >= vocab_) return std::nan("");
      const HostCopy found(context_, logits_.slice(row * vocab_, {vocab_}));
      double sum = 0, best = -HUGE_VAL;
      for (int64_t v = 0; v < vocab_; ++v) {
        sum += std::exp(pool_.value(given_, row * vocab_ + v));
        best = std::max(best, score(row, v));
      }
      for (int64_t v = 0; v < vocab_; ++v) {
        const double share = std::exp(pool_.value(given_, row * vocab_ + v)) / sum;
        gradient.add(found.value(v), factor() * (share - (v == target ? 1 : 0)));
      }
      loss.add(losses.value(row), std::log(sum) - pool_.value(given_, row * vocab_ + target));
      draws.add(score(row, token), best);
    }
    return larger_error(larger_error(loss.relative(), draws.relative()), gradient.relative());
  }

  Context& context_;
  DType dtype_;
  int64_t rows_, vocab_;
  std::vector<int32_t> ids_;
  RandomPool pool_;
  Arena memory_;
  RandomStream stream_;
  ConstTensor given_;
  Tensor targets_, logits_, loss_, correct_, samples_;
};

}  // namespace

void bench_vocabulary(Context& context, const RunConfig& config, DType dtype, int repeats,
                      std::vector<Measurement>& rows) {
  VocabularyBench bench(context, dtype, config.train.shard_batch() * config.corruption.predictions,
                        config.pretrain.model.vocab);
  rows.push_back(measure(context, bench.loss_draw_and_gradient(), repeats));
}

}  // namespace funnel
