#pragma once

// exp and what is made of it, as kernels/simd/f32x16.h computes them on the CPU: the same operations in the
// same order, so the same bits.

#include "device/gpu/language.h"

namespace arrowmind::device::gpu {

ARROWMIND_DEVICE float exponential(float x) {
  x = least(88.3f, most(-87.3f, x));
  const float shifted = fused(x, 1.44269504088896341f, 12582912.0f);
  const float n = shifted - 12582912.0f;
  float r = fused(n, -0.693145751953125f, x);
  r = fused(n, -1.42860682030941723212e-6f, r);
  float p = 0.00138461357f;
  p = fused(p, r, 0.00837309472f);
  p = fused(p, r, 0.0416679718f);
  p = fused(p, r, 0.166664734f);
  p = fused(p, r, 0.49999994f);
  p = fused(p, r, 1.0f);
  p = fused(p, r, 1.0f);
  return p * float_of((bits_of(shifted) << 23) + 0x3f800000u);
}

// 2^x for x <= 0.
ARROWMIND_DEVICE float exp2_not_positive(float x) {
  x = most(-126.0f, x);
  const float shifted = x + 12582912.0f;
  const float r = x - (shifted - 12582912.0f);
  float p = 0.00132646225f;
  p = fused(p, r, 0.00967148785f);
  p = fused(p, r, 0.0555075221f);
  p = fused(p, r, 0.240222424f);
  p = fused(p, r, 0.693146944f);
  p = fused(p, r, 1.0f);
  return p * float_of((bits_of(shifted) << 23) + 0x3f800000u);
}

ARROWMIND_DEVICE float gelu(float x) {
  const float low = most(-5.1f, x);
  const float u = least(5.1f, low);
  const float z = u * u;
  float p = -1.57233657e-08f;
  p = fused(p, z, 5.11408143e-06f);
  p = fused(p, z, 0.000387419859f);
  p = fused(p, z, 0.00590981869f);
  p = fused(p, z, 0.0579144135f);
  p = fused(p, z, 0.398941338f);
  float q = 0.00013043599f;
  q = fused(q, z, 0.0031043936f);
  q = fused(q, z, 0.0418029651f);
  q = fused(q, z, 0.311825186f);
  q = fused(q, z, 1.0f);
  return low * fused(u, p / q, 0.5f);
}

ARROWMIND_DEVICE float silu(float x) {
  return x / (1.0f + exponential(0.0f - x));
}

ARROWMIND_DEVICE float quick_gelu(float x) {
  return x / (1.0f + exponential(x * -1.702f));
}

ARROWMIND_DEVICE float gelu_tanh(float x) {
  const float cubic = fused(x * x, 0.044715f, 1.0f);
  return x / (1.0f + exponential(x * cubic * -1.5957691216057308f));
}

ARROWMIND_DEVICE float soft_cap(float x, float cap) {
  const float power = exponential(x * 2.0f / cap);
  return cap * (1.0f - 2.0f / (power + 1.0f));
}

}  // namespace arrowmind::device::gpu
