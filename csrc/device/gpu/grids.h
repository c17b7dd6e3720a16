#pragma once

// Scales of grids (kernels/grid/grid.h).

#include "device/gpu/language.h"

namespace arrowmind::device::gpu {

// Scale number `index` of those stored.
ARROWMIND_DEVICE float stored_scale(uint32_t type, const void* scales, uint64_t index) {
  const auto* bytes = static_cast<const uint8_t*>(scales);
  switch (type) {
    case kScaleF32:
      return static_cast<const float*>(scales)[index];
    case kScaleF16:
      return half_float(static_cast<const uint16_t*>(scales)[index]);
    case kScaleU8:
      return static_cast<float>(bytes[index]);
    case kScaleE8M0:
      return float_of(static_cast<uint32_t>(bytes[index]) << 23);
    default:
      return float_of(static_cast<uint32_t>(bytes[index]) << 20) * 0x1p120f;
  }
}

// Four scales beside each other, number `index` of fours, as they are stored; and as numbers.
ARROWMIND_DEVICE Four stored_four(uint32_t type, const void* scales, uint64_t index) {
  if (type == kScaleF32) return read_four(static_cast<const Four*>(scales) + index);
  if (type == kScaleF16) {
    const Two two = read_two(static_cast<const Two*>(scales) + index);
    return {{two.word[0], two.word[1], 0, 0}};
  }
  return {{static_cast<const uint32_t*>(scales)[index], 0, 0, 0}};
}
ARROWMIND_DEVICE void scales_in(uint32_t type, const Four& four, float (&scales)[4]) {
  const auto each = [&](auto scale) {
    ARROWMIND_UNROLL
    for (int i = 0; i < 4; ++i) scales[i] = scale(i, four.word[0] >> 8 * i & 0xff);
  };
  if (type == kScaleF32) return each([&](int i, uint32_t) { return float_of(four.word[i]); });
  if (type == kScaleF16) {
    return each([&](int i, uint32_t) { return half_float(four.word[i / 2] >> 16 * (i & 1) & 0xffff); });
  }
  if (type == kScaleU8) return each([&](int, uint32_t byte) { return static_cast<float>(byte); });
  if (type == kScaleE8M0) return each([&](int, uint32_t byte) { return float_of(byte << 23); });
  each([&](int, uint32_t byte) { return float_of(byte << 20) * 0x1p120f; });
}

// Bits of a group's size: k >> group_bits() is its number. Of one that has all of k: 31.
ARROWMIND_DEVICE uint32_t group_bits(uint32_t group) {
  uint32_t bits = 0;
  while (group != 1u << bits && bits < 31) ++bits;
  return bits;
}

}  // namespace arrowmind::device::gpu
