#pragma once

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
// The first `count` lanes; the others are zero / not written.
inline F32x16 load_part(const float* p, int64_t count) {
  F32x16 r = zero();
  for (int64_t i = 0; i < count; ++i) r.lane[i] = p[i];
  return r;
}
inline void store_part(float* p, F32x16 a, int64_t count) {
  for (int64_t i = 0; i < count; ++i) p[i] = a.lane[i];
}
inline F32x16 load_f16(const uint16_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = half_to_float(p[i]);
  return r;
}
inline F32x16 load_i8(const int8_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
}
inline F32x16 load_i32(const int32_t* p) {
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(p[i]);
  return r;
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
// To the nearest whole number, ties to even.
inline F32x16 round(F32x16 a) {
  for (float& lane : a.lane) lane = std::nearbyint(lane);
  return a;
}
// a * 2^n for whole n with a normal result.
inline F32x16 scale_by_power_of_two(F32x16 a, F32x16 n) {
  for (int i = 0; i < 16; ++i) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.lane[i]) + 127) << 23;
    float factor;
    std::memcpy(&factor, &bits, sizeof(factor));
    a.lane[i] *= factor;
  }
  return a;
}
inline float sum(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) a.lane[i] = a.lane[i] + a.lane[i + width];
  }
  return a.lane[0];
}
inline float reduce_max(F32x16 a) {
  float best = a.lane[0];
  for (float lane : a.lane) best = lane > best ? lane : best;
  return best;
}
// Whole numbers within the range of the type.
inline void store_i8(int8_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(a.lane[i]);
}
inline void store_i16(int16_t* p, F32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int16_t>(a.lane[i]);
}

}  // namespace arrowmind::ARROWMIND_ISA
