#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cmath>

#include "kernels/norm/norm.h"
#include "kernels/simd/f32x16.h"
#include "kernels/simd/sum.h"

namespace arrowmind::ARROWMIND_ISA {

// y of one row from its mean and 1 / sqrt(var + eps).
inline void normalise_row(const norm::Params& p, const float* x, F32x16 mean, F32x16 inverse, float* y) {
  int64_t k = 0;
  for (; k + 16 <= p.width; k += 16) {
    const F32x16 value = fma((load(x + k) - mean) * inverse, load(p.gamma + k), load(p.beta + k));
    store(y + k, value);
  }
  if (k < p.width) {
    const int64_t rest = p.width - k;
    const F32x16 unit = (load_part(x + k, rest) - mean) * inverse;
    const F32x16 value = fma(unit, load_part(p.gamma + k, rest), load_part(p.beta + k, rest));
    store_part(y + k, value, rest);
  }
}

// Step by step for kRows rows: where one row's step ends in a chain of folding and division, the next row's
// fills the wait.
template <int kRows>
inline void normalise(const norm::Params& p, int64_t row) {
  const float width = static_cast<float>(p.width);
  F32x16 mean[kRows], inverse[kRows];
  for (int r = 0; r < kRows; ++r) {
    mean[r] = set1(sum_of(p.x + (row + r) * p.x_stride, p.width, [](F32x16 v) { return v; }) / width);
  }
  for (int r = 0; r < kRows; ++r) {
    const float squares = sum_of(p.x + (row + r) * p.x_stride, p.width, [&](F32x16 v) {
      const F32x16 d = v - mean[r];
      return d * d;
    });
    inverse[r] = set1(1.0f / std::sqrt(squares / width + p.eps));
  }
  for (int r = 0; r < kRows; ++r) {
    float* y = p.y + (row + r) * p.y_stride;
    normalise_row(p, p.x + (row + r) * p.x_stride, mean[r], inverse[r], y);
  }
}

// y of one row from 1 / root mean square.
inline void scale_row(const norm::Params& p, const float* x, F32x16 inverse, float* y) {
  int64_t k = 0;
  for (; k + 16 <= p.width; k += 16) store(y + k, load(x + k) * inverse * load(p.gamma + k));
  if (k < p.width) {
    const int64_t rest = p.width - k;
    store_part(y + k, load_part(x + k, rest) * inverse * load_part(p.gamma + k, rest), rest);
  }
}

template <int kRows>
inline void scale_to_unit_power(const norm::Params& p, int64_t row) {
  const float width = static_cast<float>(p.width);
  F32x16 inverse[kRows];
  for (int r = 0; r < kRows; ++r) {
    const float squares = sum_of(p.x + (row + r) * p.x_stride, p.width, [](F32x16 v) { return v * v; });
    inverse[r] = set1(1.0f / std::sqrt(squares / width + p.eps));
  }
  for (int r = 0; r < kRows; ++r) {
    scale_row(p, p.x + (row + r) * p.x_stride, inverse[r], p.y + (row + r) * p.y_stride);
  }
}

inline void normalise_rows(const norm::Params& p) {
  int64_t row = p.begin;
  if (p.beta == nullptr) {
    for (; row + 4 <= p.end; row += 4) scale_to_unit_power<4>(p, row);
    for (; row < p.end; ++row) scale_to_unit_power<1>(p, row);
    return;
  }
  for (; row + 4 <= p.end; row += 4) normalise<4>(p, row);
  for (; row < p.end; ++row) normalise<1>(p, row);
}

}  // namespace arrowmind::ARROWMIND_ISA
