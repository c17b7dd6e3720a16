#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cstring>
#include <limits>

#include "kernels/quantise/quantise.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Largest |x|, or a NaN or infinity if the row has one.
inline float largest_magnitude(const float* x, int64_t width) {
  F32x16 even = zero();
  F32x16 odd = zero();
  int64_t k = 0;
  for (; k + 32 <= width; k += 32) {
    even = max_magnitude(even, load(x + k));
    odd = max_magnitude(odd, load(x + k + 16));
  }
  for (; k < width; k += 16) even = max_magnitude(even, load_part(x + k, width - k));
  return reduce_max_magnitude(max_magnitude(even, odd));
}

// Codes of one row; returns their sum.
template <typename CodeType>
inline int32_t encode_row(const float* x, int64_t width, float inverse_scale, CodeType* codes) {
  const F32x16 factor = set1(inverse_scale);
  CodeSum total = zero_codes();
  int64_t k = 0;
  for (; k + 16 <= width; k += 16) total = store_codes(codes + k, load(x + k) * factor, total);
  if (k < width) {
    CodeType tail[16];
    total = store_codes(tail, load_part(x + k, width - k) * factor, total);
    std::memcpy(codes + k, tail, static_cast<size_t>((width - k + 3) / 4 * 4) * sizeof(CodeType));
  }
  return sum(total);
}

// Scale, sum and codes of a row whose largest magnitude is known.
template <typename CodeType>
inline void quantise_row(const float* x, int64_t width, float amax, const quantise::Output& out,
                         int64_t row) {
  CodeType* codes = static_cast<CodeType*>(out.codes) + row * out.stride;
  const float limit = static_cast<float>(out.limit);
  const bool finite = amax <= std::numeric_limits<float>::max();
  int32_t sum = 0;
  if (finite && amax >= quantise::kSmallest) {
    out.scale[row] = amax / limit;
    sum = encode_row(x, width, limit / amax, codes);
  } else {
    out.scale[row] = finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    std::memset(codes, 0, static_cast<size_t>((width + 3) / 4 * 4) * sizeof(CodeType));
  }
  if (out.sum != nullptr) out.sum[row] = sum;
}

template <typename CodeType>
inline void quantise_rows(const quantise::Params& p) {
  for (int64_t row = p.begin; row < p.end; ++row) {
    const float* x = p.x + row * p.x_stride;
    quantise_row<CodeType>(x, p.width, largest_magnitude(x, p.width), p.out, row);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
