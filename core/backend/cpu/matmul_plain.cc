// SPDX-License-Identifier: Apache-2.0
// The matmul of a build without oneDNN: the reference loops for every product.
#include "core/backend/matmul.h"

namespace funnel {
namespace {

class PlainMatmul final : public MatmulPrimitives {
 public:
  void run(const Matmul& args) override { matmul_reference(args); }
  std::string name() const override { return "plain loops"; }
};

}  // namespace

std::unique_ptr<MatmulPrimitives> make_matmul_primitives() {
  return std::make_unique<PlainMatmul>();
}

}  // namespace funnel
