#pragma once

#include <cstdint>

namespace arrowmind::qmatmul {

// sums[i] = the sum of row i of row-major codes [n, k]; exact for k up to 2^24.
inline void row_sums(int64_t n, int64_t k, const int8_t* codes, int32_t* sums) {
  for (int64_t row = 0; row < n; ++row) {
    int32_t sum = 0;
    for (int64_t i = 0; i < k; ++i) sum += codes[row * k + i];
    sums[row] = sum;
  }
}

}  // namespace arrowmind::qmatmul
