// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "core/base/random.h"
#include "core/ops/embedding.h"
#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/random_pool.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel {
namespace {

constexpr int64_t kRows = 16;  // that are checked
constexpr int64_t kHeavy = 1;  // a token as frequent as the mask of a masked text

class EmbeddingBench {
 public:
  EmbeddingBench(Context& context, DType dtype, int64_t tokens, int64_t vocab, int64_t width)
      : context_(context),
        dtype_(dtype),
        vocab_(vocab),
        width_(width),
        ids_(static_cast<size_t>(tokens)),
        pool_(context, dtype, (vocab + tokens) * width),
        memory_(context.device()) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = static_cast<int32_t>(i % 7 == 0 ? kHeavy : Site::mix(i) % uint64_t(vocab));
    }
    indices_ = memory_.tensor({tokens}, DType::i32);
    context.upload(ConstTensor(ids_.data(), {tokens}, DType::i32), indices_);
    context.synchronize();
    table_ = pool_.tensor({vocab, width});
    dy_ = pool_.tensor({tokens, width});
    y_ = memory_.tensor({tokens, width}, dtype);
    dtable_ = memory_.tensor({vocab, width}, compute_dtype(dtype));
  }

  // Each row of the table that occurs is read once.
  CheckedCase forward() {
    Measurement row = named("forward");
    row.bytes = distinct() * row_bytes(dtype_) + static_cast<double>(y_.bytes()) +
                static_cast<double>(indices_.bytes());
    return {.row = row,
            .outputs = {y_},
            .begin = {},
            .work = [this] { gather_rows(context_, table_, indices_, y_); },
            .error =
                [this] {
                  return sampled_error(context_, y_, [this](int64_t i, int64_t c) {
                    return pool_.value(table_, ids_[static_cast<size_t>(i)] * width_ + c);
                  });
                }};
  }

  // Each row of the table's gradient that occurs is read and written once.
  CheckedCase backward() {
    Measurement row = named("backward");
    row.bytes = 2 * distinct() * row_bytes(dtable_.dtype()) + static_cast<double>(dy_.bytes()) +
                static_cast<double>(indices_.bytes());
    row.tolerance = 3e-5;
    return {.row = row,
            .outputs = {dtable_},
            .begin = [this] { context_.fill_zero(dtable_); },
            .work = [this] { scatter_add_rows(context_, dy_, indices_, dtable_); },
            .error = [this] { return backward_error(); }};
  }

 private:
  Measurement named(const char* part) const {
    Measurement row{.name = concat("embedding of ", ids_.size(), " tokens, ", vocab_, "x", width_),
                    .part = part,
                    .path = {}};
    row.dtype = dtype_;
    return row;
  }

  double distinct() const {
    return static_cast<double>(std::set<int32_t>(ids_.begin(), ids_.end()).size());
  }
  double row_bytes(DType dtype) const { return static_cast<double>(width_ * size_of(dtype)); }

  double backward_error() {
    Deviation deviation;
    std::vector<int64_t> sample = sampled_rows(vocab_, kRows);
    sample.push_back(kHeavy);
    for (const int64_t id : sample) {
      std::vector<double> sums(static_cast<size_t>(width_));
      for (size_t i = 0; i < ids_.size(); ++i) {
        if (ids_[i] != id) continue;
        for (int64_t c = 0; c < width_; ++c) {
          sums[static_cast<size_t>(c)] += pool_.value(dy_, static_cast<int64_t>(i) * width_ + c);
        }
      }
      const HostCopy found(context_, dtable_.slice(id * width_, {width_}));
      for (int64_t c = 0; c < width_; ++c) {
        deviation.add(found.value(c), sums[static_cast<size_t>(c)]);
      }
    }
    return deviation.relative();
  }

  Context& context_;
  DType dtype_;
  int64_t vocab_, width_;
  std::vector<int32_t> ids_;
  RandomPool pool_;
  Arena memory_;
  ConstTensor table_, dy_;
  Tensor indices_, y_, dtable_;
};

}  // namespace

void bench_embedding(Context& context, const RunConfig& config, DType dtype, int repeats,
                     std::vector<Measurement>& rows) {
  const FunnelConfig& model = config.pretrain.model;
  EmbeddingBench bench(context, dtype, config.train.shard_batch() * config.data.seq_len,
                       model.vocab, model.embedding_width);
  rows.push_back(measure(context, bench.forward(), repeats));
  rows.push_back(measure(context, bench.backward(), repeats));
}

}  // namespace funnel
