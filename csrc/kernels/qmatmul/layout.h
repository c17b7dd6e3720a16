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

inline int64_t code_bits(Weight weight) {
  switch (weight) {
    case Weight::kI8Grid:
      return 8;
    case Weight::kI2Grid:
    case Weight::kT2Grid:
      return 2;
    case Weight::kT3Grid:
      return 3;
    default:
      return 4;
  }
}

// Rows of 64 bytes of a panel: a row holds 8 / bits fours of k, of 3 bits three rows hold eight.
inline int64_t grid_rows(Weight weight, int64_t k, int64_t group) {
  return round_up(k, block_of(group)) / kQuad * code_bits(weight) / 8;
}

}  // namespace arrowmind::qmatmul
