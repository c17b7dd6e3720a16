#pragma once

#include <string>
#include <vector>

#include "buffer.h"
#include "grid_inputs.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::isa_test {

// What a call looks like, apart from the types of its operands.
struct MatmulCase {
  int64_t m = 1, n = 16, k = 4;
  int64_t n_begin = 0, n_end = 0;  // n_end 0: n
  int64_t gap = 0;                 // elements between rows of activations, residual and outputs
  bool a_zero = false, w_zero = false, scaled = true, bias = false, residual = false, gelu = false;
  bool natural = false;  // no code is negative
  bool extreme = false;  // codes at the ends of their ranges, so that sums come near their budget
  int64_t group = 32;    // of a grid
  qmatmul::Scale scale_type = qmatmul::Scale::kF16;
  qmatmul::FloatType a_type = qmatmul::FloatType::kF32;  // of float activations
  bool rough = false;  // floats that arithmetic treats in a way of their own
  uint64_t seed = 0;
  std::string text() const;
};

// The parameters of one call, and everything they point to.
struct MatmulInputs {
  qmatmul::Params params;
  Buffer<float> a_float, a_scale, w_scale, w_zero, bias, residual, c;
  Buffer<int8_t> a_byte;
  Buffer<int16_t> a_word;
  Buffer<uint16_t> a_half;
  Buffer<int32_t> a_zero, a_sum, w_sum;
  Buffer<char> weights;
  GridInputs grid;
};

// The one place that knows what each form of the product is given.
MatmulInputs make_inputs(qmatmul::Activation activation, qmatmul::Weight weight, const MatmulCase& one);

// Shapes, tails, strides and options; the same for every form. `grids` adds what concerns grids alone.
std::vector<MatmulCase> matmul_cases(uint64_t seed, bool grids);

bool is_grid(qmatmul::Weight weight);

}  // namespace arrowmind::isa_test
