#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

struct NormWeights {
  const float* gamma = nullptr;  // [width]
  const float* beta = nullptr;   // [width]; null: RMS norm
  float epsilon = 0.0f;
};

// Columns of a buffer: `count` pieces of equal width side by side, from column `first` on.
struct Pieces {
  int64_t first = 0;
  int64_t count = 1;
  int64_t width = 0;
};

// output = norm(input), each piece by itself with the same weights; the two may be the same buffer. Columns
// beside the pieces are left alone.
void add_norm(Plan& plan, const NormWeights& weights, const Pieces& pieces, int input, int output);

}  // namespace arrowmind::runtime
