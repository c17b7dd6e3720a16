#pragma once

#include <span>

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
  // Not empty: rows are grouped, `params` are those of the first matrix, and these of all. They are alike
  // (are_alike()), and have no bias.
  std::span<const qmatmul::Params> matrices = {};
  Place tiles = {};
  Grouped grouped = {};
};

// Weights as a step has them.
qmatmul::Params params_of(const LinearWeights& weights);

// Whether one product can have both for groups of rows.
bool are_alike(const LinearWeights& a, const LinearWeights& b);

// False where devices have no kernel for these types.
bool launch_linear(Lowering& lowering, const LinearStep& step);

}  // namespace arrowmind::runtime
