// SPDX-License-Identifier: Apache-2.0
// Cuts documents into examples of one length, in one of three ways. In all of them a group's
// documents are shuffled first, anew in every pass.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "data/joined_documents.h"
#include "data/packing_mode.h"
#include "data/vocabulary.h"

namespace funnel {

struct PackingConfig {
  PackingMode mode = PackingMode::segment_pairs;
  int64_t seq_len = 512;
  SpecialIds special;
  uint64_t seed = 0;
};

// Receives an example: `ids` [seq_len], valid during the call; A has ids[1 .. segment_a_length].
using TakeExample = std::function<void(std::span<const int32_t> ids, int64_t segment_a_length)>;

// Packs a group once. The examples are a pure function of (documents, config, group, pass).
//
// segment_pairs, as laiguokun/Funnel-Transformer does (tensorflow/create_pretrain_data.py): from a
// cursor, A ends at a random sentence border and B is either what follows or, with probability one
// half, a random place in the group; then both are trimmed to fit. Pairs may cross document
// borders. What is left at the end, at most about seq_len tokens, is not used.
//
// sentences, as Liu et al. do ("RoBERTa", 2019, FULL-SENTENCES): as many whole sentences as fit,
// one after the other, with a <sep> where the next document begins. Only a sentence longer than an
// example is cut. Every token is used exactly once.
//
// electra, as google-research/electra does (build_pretraining_dataset.py): sentences of one
// document until they reach a target length, which is seq_len or, one time in 20, a uniform one
// from 5 on; A takes about half of them or, one time in 10, all; what does not fit is not used.
void pack(const TokenizedDocuments& documents, const PackingConfig& config, int64_t group,
          int64_t pass, const TakeExample& take);

}  // namespace funnel
