// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "data/packing_modes.h"

namespace funnel {
namespace {

class SentencePacker {
 public:
  SentencePacker(const PackingConfig& config, const TakeExample& take)
      : row_(config), room_(config.seq_len - 2), sep_(config.special.sep), take_(take) {}

  void add(std::span<const int32_t> sentence, bool begins_document) {
    const auto size = static_cast<int64_t>(sentence.size());
    const bool separates = begins_document && row_.used() > 0;
    if (row_.used() > 0 && row_.used() + (separates ? 1 : 0) + size > room_) finish();
    if (separates && row_.used() > 0) row_.add(sep_);
    for (; static_cast<int64_t>(sentence.size()) > room_; finish()) {
      row_.add(sentence.first(static_cast<size_t>(room_)));
      sentence = sentence.subspan(static_cast<size_t>(room_));
    }
    row_.add(sentence);
  }

  void finish() {
    const int64_t length = row_.used();
    if (length == 0) return;
    row_.add(sep_);
    row_.finish(length, take_);
  }

 private:
  PackingRow row_;
  int64_t room_;  // for tokens of A
  int32_t sep_;
  const TakeExample& take_;
};

}  // namespace

void pack_sentences(const JoinedDocuments& text, const PackingConfig& config,
                    const TakeExample& take) {
  SentencePacker packer(config, take);
  const std::vector<int64_t>& borders = text.borders();
  int64_t sentence = 0;
  for (int64_t document_end : text.document_ends()) {
    for (const int64_t first = sentence; sentence < document_end; ++sentence) {
      packer.add(text.ids(borders[sentence], borders[sentence + 1]), sentence == first);
    }
  }
  packer.finish();
}

}  // namespace funnel
