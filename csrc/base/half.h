#pragma once

#include <bit>
#include <cstdint>

namespace arrowmind {

// IEEE 754 binary16 -> binary32, exact, for code compiled without F16C.
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  // Subnormal: magnitude * 2^-24 is exact in binary32.
  const float value = static_cast<float>(magnitude) * 0x1p-24f;
  return (sign != 0) ? -value : value;
}

// bfloat16 -> binary32, exact: its upper half.
inline float bfloat_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace arrowmind
