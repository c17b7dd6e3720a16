#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cmath>

#include "kernels/norm/norm.h"
#include "kernels/quantise/quantise_body.h"
#include "kernels/simd/f32x16.h"
#include "kernels/simd/sum.h"

namespace arrowmind::ARROWMIND_ISA {

// Returns the largest |y|, or a NaN or infinity if the row has one.
inline float normalise_row(const norm::Params& p, const float* x, float* y) {
  const float width = static_cast<float>(p.width);
  const F32x16 mean = set1(sum_of(x, p.width, [](F32x16 v) { return v; }) / width);
  const float variance = sum_of(x, p.width,
                                [&](F32x16 v) {
                                  const F32x16 d = v - mean;
                                  return d * d;
                                }) /
                         width;
  const F32x16 inverse = set1(1.0f / std::sqrt(variance + p.eps));
  F32x16 largest = zero();
  int64_t k = 0;
  for (; k + 16 <= p.width; k += 16) {
    const F32x16 value = fma((load(x + k) - mean) * inverse, load(p.gamma + k), load(p.beta + k));
    store(y + k, value);
    largest = max_magnitude(largest, value);
  }
  if (k < p.width) {
    const int64_t rest = p.width - k;
    const F32x16 unit = (load_part(x + k, rest) - mean) * inverse;
    const F32x16 value = fma(unit, load_part(p.gamma + k, rest), load_part(p.beta + k, rest));
    store_part(y + k, value, rest);
    largest = max_magnitude(largest, select_first(value, zero(), rest));
  }
  return reduce_max_magnitude(largest);
}

inline void normalise_rows(const norm::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    float* y = p.y + row * p.y_stride;
    const float amax = normalise_row(p, p.x + row * p.x_stride, y);
    if (p.codes == norm::Codes::kI8) quantise_row<int8_t>(y, p.width, amax, p.out, row);
    if (p.codes == norm::Codes::kI16) quantise_row<int16_t>(y, p.width, amax, p.out, row);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
