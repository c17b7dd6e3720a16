#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cmath>
#include <cstring>

#include "kernels/pool/pool.h"
#include "kernels/simd/f32x16.h"
#include "kernels/simd/sum.h"

namespace arrowmind::ARROWMIND_ISA {

// Mean of `count` rows for kVectors * 16 columns, the last vector cut to `last` lanes.
template <int kVectors>
inline void mean_columns(const float* x, int64_t stride, int64_t count, int64_t last, float* out) {
  F32x16 acc[kVectors];
  for (F32x16& a : acc) a = zero();
  for (int64_t row = 0; row < count; ++row, x += stride) {
    for (int j = 0; j + 1 < kVectors; ++j) acc[j] = acc[j] + load(x + 16 * j);
    acc[kVectors - 1] = acc[kVectors - 1] + load_part(x + 16 * (kVectors - 1), last);
  }
  const F32x16 divisor = set1(static_cast<float>(count));
  for (int j = 0; j + 1 < kVectors; ++j) store(out + 16 * j, acc[j] / divisor);
  store_part(out + 16 * (kVectors - 1), acc[kVectors - 1] / divisor, last);
}

inline void mean_rows(const float* x, int64_t stride, int64_t count, int64_t width, float* out) {
  int64_t k = 0;
  for (; k + 64 <= width; k += 64) mean_columns<4>(x + k, stride, count, 16, out + k);
  for (; k < width; k += 16) {
    mean_columns<1>(x + k, stride, count, width - k < 16 ? width - k : 16, out + k);
  }
}

inline void scale_to_unit(float* y, int64_t width) {
  const float length = std::sqrt(sum_of(y, width, [](F32x16 v) { return v * v; }));
  const F32x16 divisor = max(set1(1e-12f), set1(length));
  for (int64_t k = 0; k < width; k += 16) {
    store_part(y + k, load_part(y + k, width - k) / divisor, width - k);
  }
}

inline void pool_sequences(const pool::Params& p) {
  for (int64_t s = p.begin; s < p.end; ++s) {
    const float* x = p.x + p.offsets[s] * p.x_stride;
    const int64_t count = p.offsets[s + 1] - p.offsets[s];
    float* out = p.out + s * p.out_stride;
    const size_t bytes = static_cast<size_t>(p.width) * sizeof(float);
    if (count == 0) {
      std::memset(out, 0, bytes);
    } else if (p.mode == pool::Mode::kMean) {
      mean_rows(x, p.x_stride, count, p.width, out);
    } else {
      std::memcpy(out, p.mode == pool::Mode::kFirst ? x : x + (count - 1) * p.x_stride, bytes);
    }
    if (p.normalise) scale_to_unit(out, p.width);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
