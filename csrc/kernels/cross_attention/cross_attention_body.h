#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include "kernels/attention/softmax_body.h"
#include "kernels/cross_attention/cross_attention.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

inline float dot_product(const float* a, const float* b, int64_t size) {
  F32x16 acc = zero();
  int64_t d = 0;
  for (; d + 16 <= size; d += 16) acc = fma(load(a + d), load(b + d), acc);
  if (d < size) acc = fma(load_part(a + d, size - d), load_part(b + d, size - d), acc);
  return sum(acc);
}

// Columns [d, d + 16 * kVectors) of the mean of the values, the last vector cut to `last` lanes.
template <int kVectors>
inline void mix_given_values(const cross_attention::Params& p, const float* v, const float* powers,
                             float inverse, int64_t last, float* out) {
  F32x16 acc[kVectors];
  for (F32x16& lanes : acc) lanes = zero();
  for (int64_t j = 0; j < p.keys; ++j, v += p.kv_stride) {
    const F32x16 power = set1(powers[j]);
    for (int i = 0; i + 1 < kVectors; ++i) acc[i] = fma(power, load(v + 16 * i), acc[i]);
    acc[kVectors - 1] = fma(power, load_lanes(v + 16 * (kVectors - 1), last), acc[kVectors - 1]);
  }
  for (int i = 0; i + 1 < kVectors; ++i) store(out + 16 * i, acc[i] * set1(inverse));
  store_part(out + 16 * (kVectors - 1), acc[kVectors - 1] * set1(inverse), last);
}

inline void attend_given_keys(const cross_attention::Params& p) {
  float* scores = static_cast<float*>(p.scratch);
  const float scale = p.scale * 1.44269504088896341f;
  for (int64_t item = p.begin; item < p.end; ++item) {
    const int64_t column = item % p.heads * p.head_dim;
    const float* q = p.q + item / p.heads * p.q_stride + column;
    float* out = p.out + item / p.heads * p.out_stride + column;
    for (int64_t j = 0; j < p.keys; ++j) {
      scores[j] = dot_product(q, p.k + j * p.kv_stride + column, p.head_dim) * scale;
    }
    const int64_t padded = (p.keys + 15) / 16 * 16;
    for (int64_t j = p.keys; j < padded; ++j) scores[j] = 0.0f;
    const Keys all = {0, p.keys};
    float inverse;
    softmax<1>(scores, &all, &inverse);
    int64_t d = 0;
    for (; d + 64 <= p.head_dim; d += 64) {
      mix_given_values<4>(p, p.v + column + d, scores, inverse, 16, out + d);
    }
    for (; d < p.head_dim; d += 16) {
      mix_given_values<1>(p, p.v + column + d, scores, inverse, lanes_left(p.head_dim, d), out + d);
    }
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
