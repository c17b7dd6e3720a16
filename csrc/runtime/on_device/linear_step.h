#pragma once

#include "kernels/qmatmul/qmatmul.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {

// A product of a plan: the weights and epilogue of `params`, whose rows come from buffers.
struct LinearStep {
  const qmatmul::Params* params = nullptr;
  qmatmul::Weight weight = qmatmul::Weight::kF32;
  int input = -1, output = -1, residual = -1;
  int64_t first_column = 0;
};

// False where devices have no kernel for these types.
bool launch_linear(Lowering& lowering, const LinearStep& step);

}  // namespace arrowmind::runtime
