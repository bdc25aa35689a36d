// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/attention_problem.h"

#include "core/ops/attention_paths.h"

namespace funnel {
namespace {

// CLS, then half the positions in each segment.
Tensor segments(Context& context, Arena& memory, int64_t batch, int64_t length) {
  const Buffer host(Device::cpu, batch * length);
  const Tensor ids = host.tensor({batch, length}, DType::u8);
  for (int64_t i = 0; i < batch * length; ++i) {
    const int64_t t = i % length;
    ids.as<uint8_t>()[i] = t == 0 ? kClsSegment : 2 * t < length ? 0 : 1;
  }
  const Tensor there = memory.tensor(ids.shape(), DType::u8);
  context.upload(ids, there);
  context.synchronize();
  return there;
}

AttentionExtents extents(const AttentionSizes& s) {
  return {s.batch, s.queries, s.keys, s.heads, s.head_width, s.positions()};
}

int64_t pool_elements(const AttentionSizes& s) {
  const int64_t width = s.heads * s.head_width;
  const int64_t rows = s.batch * (2 * s.queries + 2 * s.keys) + s.positions() + 5;
  return width * rows + 16 * kAlignment;
}

}  // namespace

AttentionProblem::AttentionProblem(Context& context, const AttentionSizes& s, DType dtype)
    : context_(context),
      sizes_(s),
      dtype_(dtype),
      pool_(context, dtype, pool_elements(s)),
      memory_(context.device()) {
  const Shape queries{s.batch, s.queries, s.heads, s.head_width};
  const Shape keys{s.batch, s.keys, s.heads, s.head_width};
  const Shape positions{s.positions(), s.heads, s.head_width}, bias{s.heads, s.head_width};
  q_ = pool_.tensor(queries);
  k_ = pool_.tensor(keys);
  v_ = pool_.tensor(keys);
  r_ = pool_.tensor(positions);
  dcontext_ = pool_.tensor(queries);
  content_bias_ = pool_.tensor(bias);
  position_bias_ = pool_.tensor(bias);
  segment_bias_ = pool_.tensor(bias);
  embedding_ = pool_.tensor({2, s.heads, s.head_width});
  q_segments_ = segments(context, memory_, s.batch, s.queries);
  k_segments_ = segments(context, memory_, s.batch, s.keys);
  attended_ = memory_.tensor(queries, dtype);
  log_normaliser_ = memory_.tensor({s.batch, s.heads, s.queries}, DType::f32);
  dq_ = memory_.tensor(queries, dtype);
  dk_ = memory_.tensor(keys, dtype);
  dv_ = memory_.tensor(keys, dtype);
  dr_ = memory_.tensor(positions, dtype);
  dcontent_bias_ = memory_.tensor(bias, DType::f32);
  dposition_bias_ = memory_.tensor(bias, DType::f32);
  dsegment_bias_ = memory_.tensor(bias, DType::f32);
  dembedding_ = memory_.tensor({2, s.heads, s.head_width}, DType::f32);
}

std::vector<AttentionPath> AttentionProblem::paths(const Context& context, DType dtype) {
  if (context.device() == Device::cuda && dtype == DType::bf16) {
    return {AttentionPath::chosen, AttentionPath::materialised};
  }
  return {AttentionPath::chosen};
}

std::vector<Tensor> AttentionProblem::operands() const {
  return {q_, k_, v_, r_, dcontext_, content_bias_, position_bias_, segment_bias_, embedding_};
}

void AttentionProblem::read_operands_of(const AttentionProblem& other) {
  const std::vector<Tensor> mine = operands(), theirs = other.operands();
  for (size_t i = 0; i < mine.size(); ++i) {
    for (int64_t j = 0; j < mine[i].elements(); ++j) {
      mine[i].as<float>()[j] = static_cast<float>(other.pool_.value(theirs[i], j));
    }
  }
}

std::vector<Tensor> AttentionProblem::output_tensors(bool backward) const {
  if (!backward) return {attended_, log_normaliser_};
  std::vector<Tensor> all = {dq_, dk_, dv_, dr_, dcontent_bias_, dposition_bias_};
  if (sizes_.segments) {
    all.push_back(dsegment_bias_);
    all.push_back(dembedding_);
  }
  return all;
}

void AttentionProblem::poison_outputs() {
  for (const Tensor& tensor : {attended_, log_normaliser_, dq_, dk_, dv_, dr_}) {
    poison(context_, tensor);
  }
}

AttentionInputs AttentionProblem::inputs() const {
  AttentionInputs in{.q = q_,
                     .k = k_,
                     .v = v_,
                     .r = r_,
                     .content_bias = content_bias_,
                     .position_bias = position_bias_,
                     .segment_bias = segment_bias_,
                     .segment_embedding = embedding_,
                     .q_segments = {},
                     .k_segments = {},
                     .hidden = {},
                     .shift = sizes_.shift,
                     .dropout = {}};
  if (sizes_.segments) {
    in.q_segments = q_segments_;
    in.k_segments = k_segments_;
  }
  if (sizes_.dropout > 0) {
    in.dropout = Dropout(sizes_.dropout, RandomStream(1, Site("bench attention"), 0), 0);
  }
  return in;
}

void AttentionProblem::forward(AttentionPath path) {
  const RelativeAttentionForward args{
      .in = inputs(), .context = attended_, .log_normaliser = log_normaliser_};
  if (path == AttentionPath::materialised && context_.device() == Device::cuda) {
    return attention_forward_materialised(context_, args, extents(sizes_));
  }
  relative_attention_forward(context_, args);
}

void AttentionProblem::backward(AttentionPath path) {
  for (const Tensor& sum : {dcontent_bias_, dposition_bias_, dsegment_bias_, dembedding_}) {
    context_.fill_zero(sum);
  }
  const RelativeAttentionBackward args{.in = inputs(),
                                       .context = attended_,
                                       .log_normaliser = log_normaliser_,
                                       .dcontext = dcontext_,
                                       .dq = dq_,
                                       .dk = dk_,
                                       .dv = dv_,
                                       .dr = dr_,
                                       .dcontent_bias = dcontent_bias_,
                                       .dposition_bias = dposition_bias_,
                                       .dsegment_bias = dsegment_bias_,
                                       .dsegment_embedding = dembedding_};
  if (path == AttentionPath::materialised && context_.device() == Device::cuda) {
    return attention_backward_materialised(context_, args, extents(sizes_));
  }
  relative_attention_backward(context_, args);
}

std::vector<std::vector<double>> AttentionProblem::outputs(bool backward) const {
  std::vector<std::vector<double>> all;
  for (const Tensor& tensor : output_tensors(backward)) {
    const HostCopy copy(context_, tensor);
    std::vector<double>& values = all.emplace_back();
    for (int64_t i = 0; i < tensor.elements(); ++i) values.push_back(copy.value(i));
  }
  return all;
}

uint64_t AttentionProblem::digest(bool backward) const {
  uint64_t digest = 0;
  for (const Tensor& tensor : output_tensors(backward)) {
    digest = Site::mix(digest) ^ digest_of(context_, tensor);
  }
  return digest;
}

bool AttentionProblem::has_nan(bool backward) const {
  for (const Tensor& tensor : output_tensors(backward)) {
    if (HostCopy(context_, tensor).has_nan()) return true;
  }
  return false;
}

double AttentionProblem::bytes(bool backward) const {
  int64_t bytes = q_.bytes() + k_.bytes() + v_.bytes() + r_.bytes();
  if (backward) bytes += dcontext_.bytes() + attended_.bytes() + log_normaliser_.bytes();
  for (const Tensor& tensor : output_tensors(backward)) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

}  // namespace funnel
