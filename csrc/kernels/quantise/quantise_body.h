#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include <cstring>
#include <limits>

#include "kernels/quantise/quantise.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

inline void store_codes(int8_t* p, F32x16 whole) {
  store_i8(p, whole);
}
inline void store_codes(int16_t* p, F32x16 whole) {
  store_i16(p, whole);
}

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
  F32x16 total = zero();
  int64_t k = 0;
  for (; k + 16 <= width; k += 16) {
    const F32x16 whole = round(load(x + k) * factor);
    store_codes(codes + k, whole);
    total = total + whole;
  }
  if (k < width) {
    const F32x16 whole = round(load_part(x + k, width - k) * factor);
    CodeType tail[16];
    store_codes(tail, whole);
    std::memcpy(codes + k, tail, static_cast<size_t>((width - k + 3) / 4 * 4) * sizeof(CodeType));
    total = total + whole;
  }
  // The lanes are whole numbers below 2^24; their sum may not be, so it is taken in integers.
  float lanes[16];
  store(lanes, total);
  int32_t sum = 0;
  for (const float lane : lanes) sum += static_cast<int32_t>(lane);
  return sum;
}

template <typename CodeType>
inline void quantise_row(const float* x, int64_t width, const quantise::Output& out, int64_t row) {
  CodeType* codes = static_cast<CodeType*>(out.codes) + row * out.stride;
  const float amax = largest_magnitude(x, width);
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
    quantise_row<CodeType>(p.x + row * p.x_stride, p.width, p.out, row);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
