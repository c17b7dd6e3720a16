#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/half.h"

namespace arrowmind::ARROWMIND_ISA {

struct F32x16 {
  float lane[16];
};

namespace detail {
template <typename Operation>
inline F32x16 each(F32x16 a, F32x16 b, Operation operation) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = operation(a.lane[i], b.lane[i]);
  return r;
}
}  // namespace detail

inline F32x16 set1(float x) {
  F32x16 r;
  for (float& lane : r.lane) lane = x;
  return r;
}
inline F32x16 zero() {
  return set1(0.0f);
}
inline F32x16 load(const float* p) {
  F32x16 r;
  std::memcpy(r.lane, p, sizeof(r.lane));
  return r;
}
inline void store(float* p, F32x16 a) {
  std::memcpy(p, a.lane, sizeof(a.lane));
}
// Asks for a register: GCC would rather load an operand of several fma again for each of them.
inline F32x16 keep(F32x16 a) {
  return a;
}
// The first `count` lanes (all from 16 on, none below 1); the others are zero / not written.
inline F32x16 load_part(const float* p, int64_t count) {
  F32x16 r = zero();
  for (int i = 0; i < 16 && i < count; ++i) r.lane[i] = p[i];
  return r;
}
inline void store_part(float* p, F32x16 a, int64_t count) {
  for (int i = 0; i < 16 && i < count; ++i) p[i] = a.lane[i];
}
// The first `count` lanes of a, the others of b.
inline F32x16 select_first(F32x16 a, F32x16 b, int64_t count) {
  for (int i = 0; i < 16 && i < count; ++i) b.lane[i] = a.lane[i];
  return b;
}
inline F32x16 load_f16(const uint16_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = half_to_float(p[i]);
  return r;
}
// Rounded to the nearest, ties to even.
inline void store_f16(uint16_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.lane[i]);
}
inline F32x16 load_bf16(const uint16_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = bfloat_to_float(p[i]);
  return r;
}
inline F32x16 load_i8(const int8_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
inline F32x16 load_u8(const uint8_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
// The floats whose bits are a byte each, shifted.
template <int shift>
inline F32x16 load_bits(const uint8_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) {
    const uint32_t bits = static_cast<uint32_t>(p[i]) << shift;
    std::memcpy(&r.lane[i], &bits, 4);
  }
  return r;
}
inline F32x16 load_i32(const int32_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
// One number in all lanes, as a float.
inline F32x16 set1_i32(const int32_t* p) {
  return set1(static_cast<float>(*p));
}
inline F32x16 add(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x + y; });
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x - y; });
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x * y; });
}
inline F32x16 div(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x / y; });
}
// min and max return b when a lane of either is NaN, as the x86 instructions do.
inline F32x16 min(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline F32x16 abs(F32x16 a) {
  for (float& lane : a.lane) lane = std::fabs(lane);
  return a;
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < 16; ++i) c.lane[i] = std::fma(a.lane[i], b.lane[i], c.lane[i]);
  return c;
}
inline F32x16 sqrt(F32x16 a) {
  for (float& lane : a.lane) lane = std::sqrt(lane);
  return a;
}
// 2^n from n + kShifter (f32x16.h), whose low bits are n; -126 <= n <= 127. Anything else gives some float.
inline F32x16 power_of_two(F32x16 shifted) {
  for (float& lane : shifted.lane) {
    lane = std::bit_cast<float>((std::bit_cast<uint32_t>(lane) << 23) + 0x3f800000u);
  }
  return shifted;
}
inline float sum(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) a.lane[i] = a.lane[i] + a.lane[i + width];
  }
  return a.lane[0];
}
inline float reduce_max(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) a.lane[i] = a.lane[i] > a.lane[i + width] ? a.lane[i] : a.lane[i + width];
  }
  return a.lane[0];
}
// The larger of a and |b| by their bits, for a >= 0: a NaN is larger than infinity and so never lost.
inline F32x16 max_magnitude(F32x16 a, F32x16 b) {
  return detail::each(a, abs(b), [](float x, float y) {
    return std::bit_cast<int32_t>(x) > std::bit_cast<int32_t>(y) ? x : y;
  });
}
inline float reduce_max_magnitude(F32x16 a) {
  float best = 0.0f;
  for (float lane : a.lane) best = std::bit_cast<int32_t>(lane) > std::bit_cast<int32_t>(best) ? lane : best;
  return best;
}
// Lane i of row j becomes lane j of row i.
inline void transpose(F32x16 (&rows)[16]) {
  for (int j = 0; j < 16; ++j) {
    for (int i = 0; i < j; ++i) {
      const float swapped = rows[j].lane[i];
      rows[j].lane[i] = rows[i].lane[j];
      rows[i].lane[j] = swapped;
    }
  }
}
// Sums of codes, exact while the whole sum fits int32.
struct CodeSum {
  int32_t total;
};
inline CodeSum zero_codes() {
  return {0};
}
inline int32_t sum(CodeSum codes) {
  return codes.total;
}
// Stores the lanes, rounded to the nearest whole number, ties to even, and adds them to the sum. They must
// lie within the range of the type.
template <typename Code>
inline CodeSum store_codes(Code* p, F32x16 a, CodeSum codes) {
  for (int i = 0; i < 16; ++i) {
    p[i] = static_cast<Code>(std::nearbyint(a.lane[i]));
    codes.total += p[i];
  }
  return codes;
}

}  // namespace arrowmind::ARROWMIND_ISA
