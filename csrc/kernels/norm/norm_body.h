#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cmath>

#include "kernels/norm/norm.h"
#include "kernels/quantise/quantise_body.h"
#include "kernels/simd/f32x16.h"
#include "kernels/simd/sum.h"

namespace arrowmind::ARROWMIND_ISA {

inline void normalise_row(const norm::Params& p, const float* x, float* y) {
  const float width = static_cast<float>(p.width);
  const float mean = sum_of(x, p.width, [](F32x16 v) { return v; }) / width;
  const F32x16 centre = set1(mean);
  const float variance = sum_of(x, p.width,
                                [&](F32x16 v) {
                                  const F32x16 d = v - centre;
                                  return d * d;
                                }) /
                         width;
  const F32x16 inverse = set1(1.0f / std::sqrt(variance + p.eps));
  int64_t k = 0;
  for (; k + 16 <= p.width; k += 16) {
    const F32x16 unit = (load(x + k) - centre) * inverse;
    store(y + k, fma(unit, load(p.gamma + k), load(p.beta + k)));
  }
  if (k < p.width) {
    const int64_t rest = p.width - k;
    const F32x16 unit = (load_part(x + k, rest) - centre) * inverse;
    store_part(y + k, fma(unit, load_part(p.gamma + k, rest), load_part(p.beta + k, rest)), rest);
  }
}

inline void normalise_rows(const norm::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    float* y = p.y + row * p.y_stride;
    normalise_row(p, p.x + row * p.x_stride, y);
    if (p.codes == norm::Codes::kI8) quantise_row<int8_t>(y, p.width, p.out, row);
    if (p.codes == norm::Codes::kI16) quantise_row<int16_t>(y, p.width, p.out, row);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
