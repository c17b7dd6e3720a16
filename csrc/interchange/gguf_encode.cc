#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "interchange/gguf_blocks.h"

namespace arrowmind::interchange {
namespace {

constexpr int kSmall = 32;

template <typename T>
void store(uint8_t* bytes, T value) {
  std::memcpy(bytes, &value, sizeof(value));
}

// Nearest binary16, ties to even; infinity from 65520 on and for NaN.
uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const float magnitude = std::fabs(value);
  if (!(magnitude < 65520.0f)) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x1p-14f) {
    // Subnormal: the sum rounds to a multiple of 2^-24, the unit of its last bit.
    const float shifted = magnitude + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
  }
  uint32_t wide = bits & 0x7fffffffu;
  wide += 0xfffu + (wide >> 13 & 1);
  return static_cast<uint16_t>(sign | (wide - 0x38000000u) >> 13);
}

// float16 scale with which `steps` steps reach `farthest`, to the rounding of float16. A subnormal scale is
// rounded away from zero: the nearest could lose most of the block, or all.
uint16_t half_scale(float farthest, float steps) {
  const uint16_t half = float_to_half(farthest / steps);
  const bool is_subnormal = (half & 0x7c00u) == 0;
  const bool falls_short = std::fabs(half_to_float(half) * steps) < std::fabs(farthest);
  return is_subnormal && falls_short ? static_cast<uint16_t>(half + 1) : half;
}

bool is_finite_half(uint16_t half) {
  return (half & 0x7c00u) != 0x7c00u;
}

bool encode_f16(const float* values, uint8_t* block) {
  const uint16_t half = float_to_half(*values);
  store(block, half);
  return is_finite_half(half);
}

bool encode_bf16(const float* values, uint8_t* block) {
  uint32_t bits = std::bit_cast<uint32_t>(*values);
  bits += 0x7fffu + (bits >> 16 & 1);
  store(block, static_cast<uint16_t>(bits >> 16));
  // A NaN with all bits set would wrap to zero.
  return std::isfinite(*values) && (bits & 0x7f800000u) != 0x7f800000u;
}

bool encode_f32(const float* values, uint8_t* block) {
  store(block, *values);
  return true;
}

// low <= 0 <= high.
int nearest_code(float value, float scale, int low, int high) {
  if (scale == 0) return 0;
  const float ratio = std::nearbyint(value / scale);
  if (!(ratio > static_cast<float>(low))) return low;
  return static_cast<int>(std::min(ratio, static_cast<float>(high)));
}

bool are_finite(const float* values) {
  bool finite = true;
  for (int i = 0; i < kSmall; ++i) finite &= std::isfinite(values[i]);
  return finite;
}

// Codes are those nearest with the scale as it is stored.
bool encode_q8_0(const float* values, uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < kSmall; ++i) largest = std::max(largest, std::fabs(values[i]));
  const uint16_t half = half_scale(largest, 127);
  const float scale = half_to_float(half);
  store(block, half);
  if (!is_finite_half(half) || !are_finite(values)) return false;
  for (int i = 0; i < kSmall; ++i) {
    block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(nearest_code(values[i], scale, -127, 127)));
  }
  return true;
}

// The value farthest from zero takes the code -8, which has no partner above: its sign is that of the scale,
// turned.
bool encode_q4_0(const float* values, uint8_t* block) {
  float farthest = 0;
  for (int i = 0; i < kSmall; ++i) {
    if (std::fabs(values[i]) > std::fabs(farthest)) farthest = values[i];
  }
  const uint16_t half = half_scale(farthest, -8);
  const float scale = half_to_float(half);
  store(block, half);
  if (!is_finite_half(half) || !are_finite(values)) return false;
  for (int i = 0; i < 16; ++i) {
    const int low = nearest_code(values[i], scale, -8, 7) + 8;
    const int high = nearest_code(values[i + 16], scale, -8, 7) + 8;
    block[2 + i] = static_cast<uint8_t>(low | high << 4);
  }
  return true;
}

template <bool (*Encode)(const float*, uint8_t*), int kElements, int kBytes>
bool encode_all(const float* values, int64_t blocks, uint8_t* target) {
  bool fits = true;
  for (int64_t b = 0; b < blocks; ++b) fits &= Encode(values + b * kElements, target + b * kBytes);
  return fits;
}

}  // namespace

bool encode_blocks(GgmlType type, const float* values, int64_t blocks, uint8_t* target) {
  switch (type) {
    case GgmlType::kF32:
      return encode_all<encode_f32, 1, 4>(values, blocks, target);
    case GgmlType::kF16:
      return encode_all<encode_f16, 1, 2>(values, blocks, target);
    case GgmlType::kBF16:
      return encode_all<encode_bf16, 1, 2>(values, blocks, target);
    case GgmlType::kQ8_0:
      return encode_all<encode_q8_0, kSmall, 34>(values, blocks, target);
    case GgmlType::kQ4_0:
      return encode_all<encode_q4_0, kSmall, 18>(values, blocks, target);
    default:
      return false;
  }
}

}  // namespace arrowmind::interchange
