#pragma once

// Packed bfloat16 weights as the operands of products of pairs. Included by the ISA sources only.

#include <cstring>

#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

// `pairs` pairs of rows [16] of a panel -> [pairs][16][2]; rows from `held` on are zeros.
inline void interleave_pairs(const uint16_t* panel, int64_t held, int64_t pairs, uint16_t* out) {
  static constexpr uint16_t kZeros[qmatmul::kPanel] = {};
  for (int64_t i = 0; i < pairs; ++i, out += 2 * qmatmul::kPanel) {
    const uint16_t* even = 2 * i < held ? panel + 2 * i * qmatmul::kPanel : kZeros;
    const uint16_t* odd = 2 * i + 1 < held ? panel + (2 * i + 1) * qmatmul::kPanel : kZeros;
    for (int j = 0; j < qmatmul::kPanel; ++j) {
      out[2 * j] = even[j];
      out[2 * j + 1] = odd[j];
    }
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
