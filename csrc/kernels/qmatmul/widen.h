#pragma once

// Floats of 16 bits as float32. Included by the ISA sources only.

#include <cstring>

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

using qmatmul::FloatType;

inline F32x16 load_16_bits(FloatType type, const uint16_t* p) {
  return type == FloatType::kF16 ? load_f16(p) : load_bf16(p);
}

// Reads and writes `count` elements and nothing behind them.
inline void widen(FloatType type, const uint16_t* in, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store(out + i, load_16_bits(type, in + i));
  if (i == count) return;
  uint16_t padded[16] = {};
  std::memcpy(padded, in + i, static_cast<size_t>(count - i) * sizeof(uint16_t));
  store_part(out + i, load_16_bits(type, padded), count - i);
}

}  // namespace arrowmind::ARROWMIND_ISA
