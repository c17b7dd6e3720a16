#pragma once

// Sixteen float32 lanes, the same IEEE operations in the same order on every ISA: a kernel body written once
// with F32x16 gives the same bits everywhere (K4). Only +, -, *, /, fma, min, max, square root,
// moves and conversions are here, each correctly rounded; sums over lanes fold in the fixed tree 16 -> 8 -> 4
// -> 2
// -> 1.
//
// Included only from csrc/kernels/<op>/<isa>.cc and the bodies those include. Everything lives in a namespace
// named after the ISA, so that no copy compiled for wide instructions can be linked into baseline code.

#include <cstdint>
#include <cstring>

#ifndef ARROWMIND_ISA
#error "simd/f32x16.h is for kernel sources: cmake/isa.cmake defines ARROWMIND_ISA for them"
#endif

#if defined(__AVX512F__)
#include "kernels/simd/f32x16_avx512.h"
#elif defined(__AVX2__)
#include "kernels/simd/f32x16_avx2.h"
#elif defined(ARROWMIND_NEON)
#include "kernels/simd/f32x16_neon.h"
#else
#include "kernels/simd/f32x16_scalar.h"
#endif

namespace arrowmind::ARROWMIND_ISA {

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return add(a, b);
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return sub(a, b);
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return mul(a, b);
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return div(a, b);
}

// Added to |n| < 2^22, it rounds n to the nearest whole number, ties to even, and leaves n in the low bits.
constexpr float kShifter = 0x1.8p23f;

// e^x within 2 ulp; x is clamped to [-87.3, 88.3], a NaN stays one. Cody-Waite reduction, then our own
// minimax polynomial, relative error 5.8e-9 before rounding.
inline F32x16 exp(F32x16 x) {
  x = min(set1(88.3f), max(set1(-87.3f), x));
  const F32x16 shifted = fma(x, set1(1.44269504088896341f), set1(kShifter));
  const F32x16 n = shifted - set1(kShifter);
  F32x16 r = fma(n, set1(-0.693145751953125f), x);   // ln 2, high part: 16 bits, so that n * high is exact
  r = fma(n, set1(-1.42860682030941723212e-6f), r);  // ln 2, low part
  F32x16 p = set1(0.00138461357f);
  p = fma(p, r, set1(0.00837309472f));
  p = fma(p, r, set1(0.0416679718f));
  p = fma(p, r, set1(0.166664734f));
  p = fma(p, r, set1(0.49999994f));
  p = fma(p, r, set1(1.0f));
  p = fma(p, r, set1(1.0f));
  return p * power_of_two(shifted);
}

// 2^x for x <= 0 within 2 ulp, exact for whole x, at least 2^-126; a NaN stays one. Our own minimax
// polynomial, its last bits searched for the smallest error after rounding, 1.91 ulp.
inline F32x16 exp2_not_positive(F32x16 x) {
  x = max(set1(-126.0f), x);
  const F32x16 shifted = x + set1(kShifter);
  const F32x16 r = x - (shifted - set1(kShifter));
  F32x16 p = set1(0.00132646225f);
  p = fma(p, r, set1(0.00967148785f));
  p = fma(p, r, set1(0.0555075221f));
  p = fma(p, r, set1(0.240222424f));
  p = fma(p, r, set1(0.693146944f));
  p = fma(p, r, set1(1.0f));
  return p * power_of_two(shifted);
}

// x * Phi(x), the exact GELU of BERT, within 5e-7 * max(1, |x|); a NaN stays one, -infinity gives what -5.1
// gives. Phi(x) = 1/2 + x * P(x^2) / Q(x^2) on [-5.1, 5.1], beyond which it is 0 or 1 within the bound. Our
// own minimax fit of x * Phi(x), error 6.2e-8 before rounding. Measured against one polynomial of degree 12
// in x^2 (Cascade Lake): the division hides behind the other operations, 15 % faster with AVX2.
inline F32x16 gelu(F32x16 x) {
  const F32x16 low = max(set1(-5.1f), x);
  const F32x16 u = min(set1(5.1f), low);
  const F32x16 z = u * u;
  F32x16 p = set1(-1.57233657e-08f);
  p = fma(p, z, set1(5.11408143e-06f));
  p = fma(p, z, set1(0.000387419859f));
  p = fma(p, z, set1(0.00590981869f));
  p = fma(p, z, set1(0.0579144135f));
  p = fma(p, z, set1(0.398941338f));
  F32x16 q = set1(0.00013043599f);
  q = fma(q, z, set1(0.0031043936f));
  q = fma(q, z, set1(0.0418029651f));
  q = fma(q, z, set1(0.311825186f));
  q = fma(q, z, set1(1.0f));
  return low * fma(u, p / q, set1(0.5f));
}

// x / (1 + e^-x), SiLU: within 4 ulp where |x| <= 87, between 0 and 5e-39 * x below -87; a NaN stays one, and
// so does -infinity.
inline F32x16 silu(F32x16 x) {
  return x / (set1(1.0f) + exp(zero() - x));
}

// x / (1 + e^-1.702x), the GELU of CLIP: within 1e-6 * max(1, |x|) where |x| <= 51; ends as silu() does.
inline F32x16 quick_gelu(F32x16 x) {
  return x / (set1(1.0f) + exp(x * set1(-1.702f)));
}

// GELU by the tanh formula, x / (1 + e^-2u) with u = sqrt(2 / pi) * (x + 0.044715 x^3), within
// 1e-6 * max(1, |x|).
inline F32x16 gelu_tanh(F32x16 x) {
  const F32x16 cubic = fma(x * x, set1(0.044715f), set1(1.0f));
  return x / (set1(1.0f) + exp(x * cubic * set1(-1.5957691216057308f)));
}

// cap * tanh(x / cap) within 1e-6 * cap.
inline F32x16 soft_cap(F32x16 x, F32x16 cap) {
  const F32x16 power = exp(x * set1(2.0f) / cap);
  return cap * (set1(1.0f) - set1(2.0f) / (power + set1(1.0f)));
}

}  // namespace arrowmind::ARROWMIND_ISA
