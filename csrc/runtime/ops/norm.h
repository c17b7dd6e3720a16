#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

struct LayerNormWeights {
  const float* gamma = nullptr;  // [columns]
  const float* beta = nullptr;   // [columns]
  float epsilon = 0.0f;
};

// output = layer_norm(input); the two may be the same buffer.
void add_layer_norm(Plan& plan, const LayerNormWeights& weights, int input, int output);

}  // namespace arrowmind::runtime
