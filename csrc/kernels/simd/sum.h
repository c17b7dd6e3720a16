#pragma once

// Sums over a row in one fixed order: element k goes to lane k mod 64, each lane adds in the order of k, and
// the lanes fold 64 -> 32 -> 16, then as sum(F32x16) does. Four vectors, because one would wait for its own
// additions.

#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// sum_k term(x[k]); lanes behind the end of the row count nothing.
template <typename Term>
inline float sum_of(const float* x, int64_t width, const Term& term) {
  F32x16 acc[4] = {zero(), zero(), zero(), zero()};
  int64_t k = 0;
  for (; k + 64 <= width; k += 64) {
    for (int j = 0; j < 4; ++j) acc[j] = acc[j] + term(load(x + k + 16 * j));
  }
  for (int j = 0; k < width; k += 16, ++j) {
    const int64_t count = width - k < 16 ? width - k : 16;
    acc[j] = acc[j] + select_first(term(load_part(x + k, count)), zero(), count);
  }
  return sum((acc[0] + acc[2]) + (acc[1] + acc[3]));
}

}  // namespace arrowmind::ARROWMIND_ISA
