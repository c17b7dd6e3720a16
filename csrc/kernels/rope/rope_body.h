#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include "kernels/rope/rope.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// One head: `low` and `high` are its halves.
inline void rotate_head(float* low, float* high, const float* cosines, const float* sines, int64_t half) {
  int64_t i = 0;
  for (; i + 16 <= half; i += 16) {
    const F32x16 a = load(low + i), b = load(high + i), c = load(cosines + i), s = load(sines + i);
    store(low + i, a * c - b * s);
    store(high + i, b * c + a * s);
  }
  if (i == half) return;
  const int64_t rest = half - i;
  const F32x16 a = load_part(low + i, rest), b = load_part(high + i, rest);
  const F32x16 c = load_part(cosines + i, rest), s = load_part(sines + i, rest);
  store_part(low + i, a * c - b * s, rest);
  store_part(high + i, b * c + a * s, rest);
}

// One head, neighbours against each other.
inline void rotate_neighbours(float* x, const float* cosines, const float* sines, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cosines[i] - b * sines[i];
    x[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

inline void rotate_rows(const rope::Params& p) {
  const int64_t half = p.rotated / 2;
  for (int64_t row = p.begin; row < p.end; ++row) {
    const float* turns = p.turns + row * p.turns_stride;
    for (int64_t head = 0; head < p.heads; ++head) {
      float* x = p.x + row * p.x_stride + head * p.head_dim;
      p.interleaved ? rotate_neighbours(x, turns, turns + half, half)
                    : rotate_head(x, x + half, turns, turns + half, half);
    }
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
