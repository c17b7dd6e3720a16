#pragma once

#include "kernels/qmatmul/qmatmul.h"
#include "runtime/on_device/lowering.h"
#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// A product of a plan: the weights and epilogue of `params`, whose rows come from buffers.
struct LinearStep {
  const qmatmul::Params* params = nullptr;
  qmatmul::Weight weight = qmatmul::Weight::kF32;
  RowPlaces input;
  Place output;
  int64_t output_stride = 0;
  int residual = -1;  // buffer
  int64_t first_column = 0;
};

// Weights as a step has them.
qmatmul::Params params_of(const LinearWeights& weights);

// False where devices have no kernel for these types.
bool launch_linear(Lowering& lowering, const LinearStep& step);

}  // namespace arrowmind::runtime
