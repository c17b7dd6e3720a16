#pragma once

#include <vector>

#include "kernels/qmatmul/qmatmul.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// A packed linear layer: shape, layout and meaning of the pointers as in kernels/qmatmul/qmatmul.h.
struct LinearWeights {
  qmatmul::Weight type = qmatmul::Weight::kF32;
  int64_t n = 0;
  int64_t k = 0;
  const void* packed = nullptr;
  int64_t packed_bytes = 0;
  const float* scale = nullptr;  // [n padded to 16]
  const float* zero = nullptr;   // [n padded to 16] or null
  const int32_t* sum = nullptr;  // [n padded to 16]
  qmatmul::Grid grid;            // weights of a grid
  const float* bias = nullptr;   // [n] or null
  bool streamed = false;         // not in memory before an operator asks for it: not to be read now
};

struct LinearOptions {
  int input = -1;     // float32 or codes
  int output = -1;    // float32
  int residual = -1;  // float32 or -1; may be the output
  bool gelu = false;
  int64_t column = -1;  // of the output, where the first layer writes; -1: the layers fill the output
};

// Throws Error(kWeight) unless the weights are whole and meet an input of this width and type.
void check_linear(const LinearWeights& weights, int64_t input_columns, BufferType activation);
// The kernel for `m` rows of codes that are bound like that.
const qmatmul::Row& select_linear(const LinearWeights& weights, BufferType activation, int64_t m,
                                  qmatmul::Bound bound);

// output = epilogue(input x weights): several layers over one input write side by side (query | key | value).
void add_linear(Plan& plan, const std::vector<LinearWeights>& layers, const LinearOptions& options);

}  // namespace arrowmind::runtime
