#pragma once

// smmla multiplies 2 rows x 8 k with 2 outputs x 8 k, twice the products of sdot. Both operands are made of
// two quads by interleaving 32-bit parts, which is all that tells their layout from the packed one:
//
//   weights      zip1 of | n0 n1 n2 n3 | at quad q and at q + 1   ->  | n0 q, n0 q+1 | n1 q, n1 q+1 |
//   activations  zip1 of | r0 r1 |       at quad q and at q + 1   ->  | r0 q, r0 q+1 | r1 q, r1 q+1 |
//   acc                                                               | r0 n0, r0 n1 | r1 n0, r1 n1 |
//
// One row would waste half of each instruction, and is left to sdot.

#include <arm_neon.h>

#include <cstring>
#include <utility>  // std::integer_sequence: types only, no code

#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

constexpr int kSmmlaOperands = 8;  // of a row of 64 bytes and the next: two outputs each

// Sums of R rows and sixteen outputs.
template <int R>
struct SmmlaSums {
  int32x4_t pair[(R + 1) / 2][kSmmlaOperands];
};

inline int8x16_t zip_quads_low(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}
inline int8x16_t zip_quads_high(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

// Quads of one row, or of two that follow each other, then zeros.
template <bool kBoth>
inline int8x16_t load_row_quads(const int8_t* a) {
  int64_t codes = 0;
  std::memcpy(&codes, a, kBoth ? 2 * qmatmul::kQuad : qmatmul::kQuad);
  return vreinterpretq_s8_s64(vsetq_lane_s64(codes, vdupq_n_s64(0), 0));
}

template <int R, bool kSecond, int... r>
[[gnu::always_inline]] inline void load_row_pairs(const int8_t* a, int8x16_t (&rows)[(R + 1) / 2],
                                                  std::integer_sequence<int, r...> /*pairs*/) {
  ((rows[r] = zip_quads_low(
        load_row_quads<(2 * r + 1 < R)>(a + 2 * r * qmatmul::kQuad),
        kSecond ? load_row_quads<(2 * r + 1 < R)>(a + (R + 2 * r) * qmatmul::kQuad) : vdupq_n_s8(0))),
   ...);
}

// Products of R rows at two quads, [2][R][4]; without the second, of one.
template <int R, bool kSecond>
[[gnu::always_inline]] inline void smmla_step(const int8_t* a, const int8x16_t (&weights)[kSmmlaOperands],
                                              SmmlaSums<R>& sums) {
  constexpr int kPairs = (R + 1) / 2;
  int8x16_t rows[kPairs];
  load_row_pairs<R, kSecond>(a, rows, std::make_integer_sequence<int, kPairs>{});
#pragma GCC unroll 8
  for (int i = 0; i < kSmmlaOperands; ++i) {
#pragma GCC unroll 3
    for (int r = 0; r < kPairs; ++r) sums.pair[r][i] = vmmlaq_s32(sums.pair[r][i], rows[r], weights[i]);
  }
}

inline int32x4_t low_halves(int32x4_t a, int32x4_t b) {
  return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}
inline int32x4_t high_halves(int32x4_t a, int32x4_t b) {
  return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

}  // namespace arrowmind::ARROWMIND_ISA
