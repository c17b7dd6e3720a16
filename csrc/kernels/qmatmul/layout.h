#pragma once

// Sizes in the order of packed weights (qmatmul.h says what it is).

#include <cstdint>

#include "base/checked.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::qmatmul {

inline int64_t element_bytes(Weight weight) {
  return weight == Weight::kF32 ? 4 : weight == Weight::kF16 || weight == Weight::kBf16 ? 2 : 1;
}

inline int64_t k_group(Weight weight) {
  return weight >= Weight::kI8 && weight <= Weight::kI8Fours ? kQuad : 1;
}

inline bool is_grid(Weight weight) {
  return weight >= Weight::kI8Grid;
}

// Fours of k in a row of 64 bytes of codes.
inline int64_t planes_of(Weight weight) {
  return weight == Weight::kI8Grid ? 1 : weight == Weight::kI2Grid ? 4 : 2;
}

inline int64_t grid_rows(Weight weight, int64_t k, int64_t group) {
  return round_up(k, block_of(group)) / kQuad / planes_of(weight);
}

}  // namespace arrowmind::qmatmul
