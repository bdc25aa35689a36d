// SPDX-License-Identifier: Apache-2.0
// f32 products through oneDNN's `matmul` primitive, one prepared primitive per shape: building one
// costs up to milliseconds, running one 0.2 microseconds over its arithmetic. f64 and bf16, which
// serve tests on the CPU, go to the reference.
#include <omp.h>
#include <dnnl.hpp>

#include <array>
#include <cstring>
#include <map>

#include "core/backend/matmul.h"

namespace funnel {
namespace {

using dnnl::memory;

// What a primitive depends on: everything but the pointers.
using Key = std::array<int64_t, 14>;

Key key_of(const Matmul& args) {
  return {args.m,           args.n,
          args.k,           args.lda,
          args.ldb,         args.ldc,
          args.batch,       args.stride_a,
          args.stride_b,    args.stride_c,
          args.transpose_a, args.transpose_b,
          args.accumulate,  args.bias != nullptr};
}

memory::desc matrices(int64_t batch, int64_t rows, int64_t cols, int64_t stride, int64_t ld,
                      bool transposed) {
  const memory::dims steps = transposed ? memory::dims{1, ld} : memory::dims{ld, 1};
  if (batch == 1) return {{rows, cols}, memory::data_type::f32, steps};
  return {{batch, rows, cols}, memory::data_type::f32, {stride, steps[0], steps[1]}};
}

// Rows of a transposed operand that lie a multiple of 2 KiB apart share a few cache sets: with a
// narrow result oneDNN then runs at half speed (1024x256 from 1024 rows: 39 GFLOP/s, from padded
// rows 86).
bool collides_in_cache(const Matmul& args) {
  return args.transpose_a && args.batch == 1 && args.lda % 512 == 0 && args.n >= 32 &&
         args.n <= 512;
}
constexpr int64_t kPadding = 16;  // elements, one cache line

struct Prepared {
  dnnl::matmul primitive;
  memory a, b, c, bias;
};

class OneDnnMatmul final : public MatmulPrimitives {
 public:
  // A rank is one thread: oneDNN would otherwise start one for each core on every rank.
  OneDnnMatmul() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) { omp_set_num_threads(1); }

  void run(const Matmul& args) override {
    if (args.dtype != DType::f32 || args.k == 0) return matmul_reference(args);
    if (collides_in_cache(args)) return run(with_padded_rows(args));
    auto found = prepared_.find(key_of(args));
    if (found == prepared_.end()) found = prepared_.emplace(key_of(args), prepare(args)).first;
    Prepared& p = found->second;
    p.a.set_data_handle(const_cast<void*>(args.a));
    p.b.set_data_handle(const_cast<void*>(args.b));
    p.c.set_data_handle(args.c);
    std::unordered_map<int, memory> operands{
        {DNNL_ARG_SRC, p.a}, {DNNL_ARG_WEIGHTS, p.b}, {DNNL_ARG_DST, p.c}};
    if (args.bias != nullptr) {
      p.bias.set_data_handle(const_cast<void*>(args.bias));
      operands.emplace(DNNL_ARG_BIAS, p.bias);
    }
    p.primitive.execute(stream_, operands);
    stream_.wait();
  }

  std::string name() const override {
    const dnnl_version_t* version = dnnl_version();
    return concat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
  }

 private:
  Prepared prepare(const Matmul& args) {
    const auto a = matrices(args.batch, args.m, args.k, args.stride_a, args.lda, args.transpose_a);
    const auto b = matrices(args.batch, args.k, args.n, args.stride_b, args.ldb, args.transpose_b);
    const auto c = matrices(args.batch, args.m, args.n, args.stride_c, args.ldc, false);
    dnnl::primitive_attr attributes;
    if (args.accumulate) {
      dnnl::post_ops post;
      post.append_sum(1.0f);
      attributes.set_post_ops(post);
    }
    const memory::dims bias_dims =
        args.batch == 1 ? memory::dims{1, args.n} : memory::dims{1, 1, args.n};
    const memory::dims bias_steps =
        args.batch == 1 ? memory::dims{args.n, 1} : memory::dims{args.n, args.n, 1};
    const memory::desc bias = args.bias == nullptr
                                  ? memory::desc()
                                  : memory::desc(bias_dims, memory::data_type::f32, bias_steps);
    const auto description =
        args.bias == nullptr ? dnnl::matmul::desc(a, b, c) : dnnl::matmul::desc(a, b, bias, c);
    const dnnl::matmul::primitive_desc primitive(description, attributes, engine_);
    Prepared prepared{dnnl::matmul(primitive), memory(a, engine_, nullptr),
                      memory(b, engine_, nullptr), memory(c, engine_, nullptr), memory()};
    if (args.bias != nullptr) prepared.bias = memory(bias, engine_, nullptr);
    return prepared;
  }

  // The same product from a copy of A whose rows lie a line further apart.
  Matmul with_padded_rows(const Matmul& args) {
    Matmul padded = args;
    padded.lda = args.m + kPadding;
    if (collides_in_cache(padded)) padded.lda += kPadding;
    const int64_t bytes = args.k * padded.lda * size_of(DType::f32);
    if (padded_rows_.bytes() < bytes) padded_rows_ = Buffer(Device::cpu, bytes);
    float* to = reinterpret_cast<float*>(padded_rows_.data());
    const float* from = static_cast<const float*>(args.a);
    for (int64_t row = 0; row < args.k; ++row) {
      std::memcpy(to + row * padded.lda, from + row * args.lda, args.m * sizeof(float));
    }
    padded.a = to;
    return padded;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::map<Key, Prepared> prepared_;
  Buffer padded_rows_;
};

}  // namespace

std::unique_ptr<MatmulPrimitives> make_matmul_primitives() {
  return std::make_unique<OneDnnMatmul>();
}

}  // namespace funnel
