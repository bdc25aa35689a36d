// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "data/packing_modes.h"

namespace funnel {
namespace {

constexpr float kSingleSegmentShare = 0.1f;
constexpr float kShortShare = 0.05f;
constexpr int64_t kShortestTarget = 5;

class ElectraPacker {
 public:
  ElectraPacker(const PackingConfig& config, RandomSequence& random, const TakeExample& take)
      : config_(config), random_(random), take_(take), row_(config), target_(config.seq_len) {}

  void add(std::span<const int32_t> sentence) {
    sentences_.push_back(sentence);
    tokens_ += static_cast<int64_t>(sentence.size());
    if (tokens_ >= target_) finish();
  }

  // Makes an example of the sentences that there are, and draws the length of the next.
  void finish() {
    if (sentences_.empty()) return;
    split();
    const auto most_a = static_cast<size_t>(config_.seq_len - 2);
    a_.resize(std::min(a_.size(), most_a));
    const auto room = config_.seq_len - 3 - static_cast<int64_t>(a_.size());
    b_.resize(std::min(b_.size(), static_cast<size_t>(std::max<int64_t>(0, room))));
    row_.add(a_);
    row_.add(config_.special.sep);
    if (!b_.empty()) {
      row_.add(b_);
      row_.add(config_.special.sep);
    }
    row_.finish(static_cast<int64_t>(a_.size()), take_);
    sentences_.clear();
    tokens_ = 0;
    target_ = config_.seq_len;
    if (uniform01(random_.word()) < kShortShare) {
      target_ = kShortestTarget + random_.below(config_.seq_len - kShortestTarget + 1);
    }
  }

 private:
  // A sentence goes to A if A is empty, if it fits into A's share or, half of the time, if it is
  // the one that would exceed it.
  void split() {
    a_.clear();
    b_.clear();
    const bool is_single = uniform01(random_.word()) < kSingleSegmentShare;
    const int64_t share = is_single ? INT64_MAX : (target_ - 3) / 2;
    for (std::span<const int32_t> sentence : sentences_) {
      const auto size = static_cast<int64_t>(sentence.size()), a = static_cast<int64_t>(a_.size());
      const bool goes_to_a =
          a == 0 || size < share - a || (b_.empty() && a < share && random_.coin());
      std::vector<int32_t>& segment = goes_to_a ? a_ : b_;
      segment.insert(segment.end(), sentence.begin(), sentence.end());
    }
  }

  const PackingConfig& config_;
  RandomSequence& random_;
  const TakeExample& take_;
  PackingRow row_;
  int64_t target_;
  std::vector<std::span<const int32_t>> sentences_;
  int64_t tokens_ = 0;  // of the sentences
  std::vector<int32_t> a_, b_;
};

}  // namespace

void pack_electra(const JoinedDocuments& text, const PackingConfig& config, RandomSequence& random,
                  const TakeExample& take) {
  ElectraPacker packer(config, random, take);
  const std::vector<int64_t>& borders = text.borders();
  int64_t sentence = 0;
  for (int64_t document_end : text.document_ends()) {
    for (; sentence < document_end; ++sentence) {
      packer.add(text.ids(borders[sentence], borders[sentence + 1]));
    }
    packer.finish();
  }
}

}  // namespace funnel
