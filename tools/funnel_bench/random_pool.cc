// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/random_pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/random.h"
#include "core/ops/digest.h"

namespace funnel {
namespace {

// No multiple of a row's length, so that rows of an operand differ.
constexpr int64_t kPeriod = (int64_t{1} << 22) + 33 * 128;

float element(const ConstTensor& host, int64_t i) {
  return host.dtype() == DType::bf16 ? float(host.as<BFloat16>()[i]) : host.as<float>()[i];
}

// Copies the first `filled` elements over the rest, twice as many each time.
void spread(Context& context, const Tensor& all, int64_t filled) {
  for (int64_t done = filled; done < all.elements();) {
    const int64_t n = std::min(done, all.elements() - done);
    context.copy(all.slice(0, {n}), all.slice(done, {n}));
    done += n;
  }
}

Tensor flat(const Tensor& tensor) {
  return tensor.reshaped({tensor.elements()});
}

}  // namespace

RandomPool::RandomPool(Context& context, DType dtype, int64_t elements)
    : memory_(context.device(), elements * size_of(dtype)),
      all_(memory_.tensor({elements}, dtype)),
      period_(static_cast<size_t>(std::min(elements, kPeriod))) {
  const auto n = static_cast<int64_t>(period_.size());
  const Buffer host(Device::cpu, n * size_of(dtype));
  const Tensor block = host.tensor({n}, dtype);
  const RandomStream stream(1, Site("bench"), 0);
  RandomBits bits{};
  for (int64_t i = 0; i < n; ++i) {
    if (i % 4 == 0) bits = stream.bits(static_cast<uint64_t>(i / 4));
    const float value = 2 * uniform01(bits.word[i % 4]) - 1;
    if (dtype == DType::bf16) {
      block.as<BFloat16>()[i] = value;
    } else {
      block.as<float>()[i] = value;
    }
    period_[static_cast<size_t>(i)] = element(block, i);
  }
  context.upload(block, all_.slice(0, {n}));
  context.synchronize();
  spread(context, all_, n);
}

Tensor RandomPool::tensor(Shape shape) {
  FUNNEL_CHECK(shape.elements() <= all_.elements(), "a pool of ", all_.elements(),
               " elements has no piece of ", shape);
  if (used_ + shape.elements() > all_.elements()) used_ = 0;
  const Tensor piece = all_.slice(used_, shape);
  used_ += align_up(shape.elements());
  return piece;
}

double RandomPool::value(const ConstTensor& piece, int64_t i) const {
  const auto offset = (static_cast<const char*>(piece.data()) - static_cast<char*>(all_.data())) /
                      size_of(all_.dtype());
  return period_[static_cast<size_t>(offset + i) % period_.size()];
}

void poison(Context& context, const Tensor& tensor) {
  const int64_t n = std::min(tensor.elements(), kPeriod);
  if (n == 0) return;
  const Buffer host(Device::cpu, n * size_of(tensor.dtype()));
  std::memset(host.data(), 0xFF, static_cast<size_t>(host.bytes()));
  context.upload(host.tensor({n}, tensor.dtype()), flat(tensor).slice(0, {n}));
  context.synchronize();
  spread(context, flat(tensor), n);
}

uint64_t digest_of(Context& context, const ConstTensor& tensor) {
  const Buffer there(context.device(), 4 * size_of(DType::f64)), here(Device::cpu, there.bytes());
  const ConstTensor words(tensor.data(), {tensor.bytes() / 4}, DType::f32, tensor.device());
  digest_bits(context, words, there.tensor({4}, DType::f64));
  const Tensor parts = here.tensor({4}, DType::f64);
  context.download(there.tensor({4}, DType::f64), parts);
  uint64_t digest = 0;
  for (int i = 3; i >= 0; --i) digest = digest << 16 | static_cast<uint64_t>(parts.as<double>()[i]);
  return digest;
}

HostCopy::HostCopy(Context& context, const ConstTensor& tensor)
    : memory_(Device::cpu, tensor.bytes()),
      tensor_(memory_.tensor(tensor.shape(), tensor.dtype())) {
  context.download(tensor, tensor_);
}

double HostCopy::value(int64_t i) const {
  return element(tensor_, i);
}

bool HostCopy::has_nan() const {
  for (int64_t i = 0; i < tensor_.elements(); ++i) {
    if (std::isnan(element(tensor_, i))) return true;
  }
  return false;
}

}  // namespace funnel
