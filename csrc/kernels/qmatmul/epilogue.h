#pragma once

// The fixed sequence of float operations between a kernel's sums and its outputs; see qmatmul.h. Included by
// the ISA sources only.

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Integer sums of row m, outputs [n, n + 16) -> real values.
inline F32x16 dequantise(const qmatmul::Params& p, int64_t m, int64_t n, F32x16 acc) {
  if (p.w_zero != nullptr) acc = fma(set1(-static_cast<float>(p.a_sum[m])), load(p.w_zero + n), acc);
  return acc * (set1(p.a_scale[m]) * load(p.w_scale + n));
}

// Bias, nonlinearity and residual of row m, outputs [n, n + count), count <= 16; then the store.
inline void finish(const qmatmul::Params& p, int64_t m, int64_t n, int64_t count, F32x16 value) {
  if (p.bias != nullptr) value = value + load_part(p.bias + n, count);
  if (p.nonlinearity == qmatmul::Nonlinearity::kGelu) value = gelu(value);
  if (p.residual != nullptr) value = value + load_part(p.residual + m * p.residual_stride + n, count);
  store_part(p.c + m * p.c_stride + n, value, count);
}

inline int64_t panel_count(const qmatmul::Params& p, int64_t n) {
  return p.n - n < qmatmul::kPanel ? p.n - n : qmatmul::kPanel;
}

}  // namespace arrowmind::ARROWMIND_ISA
