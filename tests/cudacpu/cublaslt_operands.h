// SPDX-License-Identifier: Apache-2.0
// The operands of a product and the product itself, of a problem that was checked.
#pragma once

#include "tests/cudacpu/cublaslt_problem.h"

namespace funnel::cudacpu {

struct Operands {
  const void *a, *b, *c;
  void* d;
  double alpha, beta;
};

// Checks that all operands lie in device memory and that the output overlaps no other operand.
// Throws Refusal.
void check_operands(const Problem& problem, const Operands& operands);

// Computes it now: reads, computes, writes and tells the initialisation checker. Throws Fault for
// operands that nobody has written.
void compute_problem(const Problem& problem, const Operands& operands);

}  // namespace funnel::cudacpu
