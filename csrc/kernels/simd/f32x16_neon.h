#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace arrowmind::ARROWMIND_ISA {

// Members instead of an array: GCC keeps them in registers without having to unroll a loop first.
struct F32x16 {
  float32x4_t q0, q1, q2, q3;
};

namespace detail {
template <typename Operation>
inline F32x16 each(F32x16 a, Operation operation) {
  return {operation(a.q0), operation(a.q1), operation(a.q2), operation(a.q3)};
}
template <typename Operation>
inline F32x16 each(F32x16 a, F32x16 b, Operation operation) {
  return {operation(a.q0, b.q0), operation(a.q1, b.q1), operation(a.q2, b.q2), operation(a.q3, b.q3)};
}
}  // namespace detail

inline F32x16 set1(float x) {
  const float32x4_t q = vdupq_n_f32(x);
  return {q, q, q, q};
}
inline F32x16 zero() {
  return set1(0.0f);
}
inline F32x16 load(const float* p) {
  return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
inline void store(float* p, F32x16 a) {
  vst1q_f32(p, a.q0);
  vst1q_f32(p + 4, a.q1);
  vst1q_f32(p + 8, a.q2);
  vst1q_f32(p + 12, a.q3);
}
inline F32x16 keep(F32x16 a) {
  asm("" : "+w"(a.q0), "+w"(a.q1), "+w"(a.q2), "+w"(a.q3));
  return a;
}
// Through memory: NEON has no masked moves, and only the ends of rows come here with fewer than 16.
inline F32x16 load_part(const float* p, int64_t count) {
  if (count >= 16) return load(p);
  float lanes[16] = {};
  if (count > 0) std::memcpy(lanes, p, static_cast<size_t>(count) * sizeof(float));
  return load(lanes);
}
inline void store_part(float* p, F32x16 a, int64_t count) {
  if (count >= 16) return store(p, a);
  float lanes[16];
  store(lanes, a);
  if (count > 0) std::memcpy(p, lanes, static_cast<size_t>(count) * sizeof(float));
}
namespace detail {
inline float32x4_t select_first(float32x4_t a, float32x4_t b, int64_t count) {
  static constexpr int32_t kLanes[4] = {0, 1, 2, 3};
  return vbslq_f32(vcltq_s32(vld1q_s32(kLanes), vdupq_n_s32(static_cast<int>(count))), a, b);
}
}  // namespace detail
inline F32x16 select_first(F32x16 a, F32x16 b, int64_t count) {
  return {detail::select_first(a.q0, b.q0, count), detail::select_first(a.q1, b.q1, count - 4),
          detail::select_first(a.q2, b.q2, count - 8), detail::select_first(a.q3, b.q3, count - 12)};
}
inline F32x16 load_f16(const uint16_t* p) {
  const auto four = [](const uint16_t* half) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(half))); };
  return {four(p), four(p + 4), four(p + 8), four(p + 12)};
}
// Rounded to the nearest, ties to even.
inline void store_f16(uint16_t* p, F32x16 a) {
  const auto four = [](uint16_t* half, float32x4_t q) {
    vst1_u16(half, vreinterpret_u16_f16(vcvt_f16_f32(q)));
  };
  four(p, a.q0);
  four(p + 4, a.q1);
  four(p + 8, a.q2);
  four(p + 12, a.q3);
}
inline F32x16 load_bf16(const uint16_t* p) {
  const auto four = [](const uint16_t* half) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(half), 16));
  };
  return {four(p), four(p + 4), four(p + 8), four(p + 12)};
}
namespace detail {
inline F32x16 from_i16(int16x8_t low, int16x8_t high) {
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
}  // namespace detail
inline F32x16 load_i8(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  return detail::from_i16(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
}
namespace detail {
struct U32x16 {
  uint32x4_t q0, q1, q2, q3;
};
inline U32x16 widen_u8(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes));
  const uint16x8_t high = vmovl_high_u8(bytes);
  return {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)),
          vmovl_high_u16(high)};
}
}  // namespace detail
inline F32x16 load_u8(const uint8_t* p) {
  const detail::U32x16 x = detail::widen_u8(p);
  return {vcvtq_f32_u32(x.q0), vcvtq_f32_u32(x.q1), vcvtq_f32_u32(x.q2), vcvtq_f32_u32(x.q3)};
}
// The floats whose bits are a byte each, shifted.
template <int shift>
inline F32x16 load_bits(const uint8_t* p) {
  const detail::U32x16 x = detail::widen_u8(p);
  const auto shifted = [](uint32x4_t q) { return vreinterpretq_f32_u32(vshlq_n_u32(q, shift)); };
  return {shifted(x.q0), shifted(x.q1), shifted(x.q2), shifted(x.q3)};
}
inline F32x16 load_i32(const int32_t* p) {
  return {vcvtq_f32_s32(vld1q_s32(p)), vcvtq_f32_s32(vld1q_s32(p + 4)), vcvtq_f32_s32(vld1q_s32(p + 8)),
          vcvtq_f32_s32(vld1q_s32(p + 12))};
}
// One number in all lanes, as a float.
inline F32x16 set1_i32(const int32_t* p) {
  const float32x4_t all = vcvtq_f32_s32(vld1q_dup_s32(p));
  return {all, all, all, all};
}
inline F32x16 add(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); });
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return vsubq_f32(x, y); });
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); });
}
inline F32x16 div(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return vdivq_f32(x, y); });
}
// Not vminq and vmaxq: those give a NaN when either is one, the contract gives b.
namespace detail {
inline float32x4_t min(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
inline float32x4_t max(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
}  // namespace detail
inline F32x16 min(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return detail::min(x, y); });
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return detail::max(x, y); });
}
inline F32x16 abs(F32x16 a) {
  return detail::each(a, [](float32x4_t x) { return vabsq_f32(x); });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {vfmaq_f32(c.q0, a.q0, b.q0), vfmaq_f32(c.q1, a.q1, b.q1), vfmaq_f32(c.q2, a.q2, b.q2),
          vfmaq_f32(c.q3, a.q3, b.q3)};
}
inline F32x16 sqrt(F32x16 a) {
  return detail::each(a, [](float32x4_t x) { return vsqrtq_f32(x); });
}
inline F32x16 power_of_two(F32x16 shifted) {
  return detail::each(shifted, [](float32x4_t x) {
    const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(x), 23);
    return vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(0x3f800000)));
  });
}
inline float sum(F32x16 a) {
  const float32x4_t four = vaddq_f32(vaddq_f32(a.q0, a.q2), vaddq_f32(a.q1, a.q3));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
inline float reduce_max(F32x16 a) {
  const float32x4_t four = detail::max(detail::max(a.q0, a.q2), detail::max(a.q1, a.q3));
  const float32x4_t two = detail::max(four, vextq_f32(four, four, 2));
  return vgetq_lane_f32(detail::max(two, vextq_f32(two, two, 1)), 0);
}
namespace detail {
inline float32x4_t max_magnitude(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(vabsq_f32(b))));
}
}  // namespace detail
inline F32x16 max_magnitude(F32x16 a, F32x16 b) {
  return detail::each(a, b, [](float32x4_t x, float32x4_t y) { return detail::max_magnitude(x, y); });
}
inline float reduce_max_magnitude(F32x16 a) {
  const float32x4_t four =
      detail::max_magnitude(detail::max_magnitude(a.q0, a.q1), detail::max_magnitude(a.q2, a.q3));
  const float32x4_t best = vreinterpretq_f32_s32(vdupq_n_s32(vmaxvq_s32(vreinterpretq_s32_f32(four))));
  return vgetq_lane_f32(best, 0);
}
namespace detail {
inline void transpose4(float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
  const float64x2_t even_ab = vreinterpretq_f64_f32(vtrn1q_f32(a, b));  // a0 b0 a2 b2
  const float64x2_t odd_ab = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
  const float64x2_t even_cd = vreinterpretq_f64_f32(vtrn1q_f32(c, d));
  const float64x2_t odd_cd = vreinterpretq_f64_f32(vtrn2q_f32(c, d));
  a = vreinterpretq_f32_f64(vtrn1q_f64(even_ab, even_cd));
  b = vreinterpretq_f32_f64(vtrn1q_f64(odd_ab, odd_cd));
  c = vreinterpretq_f32_f64(vtrn2q_f64(even_ab, even_cd));
  d = vreinterpretq_f32_f64(vtrn2q_f64(odd_ab, odd_cd));
}
}  // namespace detail
// 4 x 4 blocks, each transposed and put at its mirrored place.
inline void transpose(F32x16 (&rows)[16]) {
  for (int i = 0; i < 16; i += 4) {
    detail::transpose4(rows[i].q0, rows[i + 1].q0, rows[i + 2].q0, rows[i + 3].q0);
    detail::transpose4(rows[i].q1, rows[i + 1].q1, rows[i + 2].q1, rows[i + 3].q1);
    detail::transpose4(rows[i].q2, rows[i + 1].q2, rows[i + 2].q2, rows[i + 3].q2);
    detail::transpose4(rows[i].q3, rows[i + 1].q3, rows[i + 2].q3, rows[i + 3].q3);
  }
  const auto swap = [](float32x4_t& a, float32x4_t& b) {
    const float32x4_t kept = a;
    a = b;
    b = kept;
  };
  for (int i = 0; i < 4; ++i) {
    swap(rows[i].q1, rows[i + 4].q0);
    swap(rows[i].q2, rows[i + 8].q0);
    swap(rows[i].q3, rows[i + 12].q0);
    swap(rows[i + 4].q2, rows[i + 8].q1);
    swap(rows[i + 4].q3, rows[i + 12].q1);
    swap(rows[i + 8].q3, rows[i + 12].q2);
  }
}
struct CodeSum {
  int32x4_t lanes;
};
inline CodeSum zero_codes() {
  return {vdupq_n_s32(0)};
}
inline int32_t sum(CodeSum codes) {
  return vaddvq_s32(codes.lanes);
}
namespace detail {
// Lanes as int16, rounded to the nearest, ties to even.
inline int16x8_t to_i16(float32x4_t low, float32x4_t high) {
  return vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(low)), vcvtnq_s32_f32(high));
}
inline CodeSum add_words(CodeSum codes, int16x8_t low, int16x8_t high) {
  return {vpadalq_s16(vpadalq_s16(codes.lanes, low), high)};
}
}  // namespace detail
inline CodeSum store_codes(int8_t* p, F32x16 a, CodeSum codes) {
  const int16x8_t low = detail::to_i16(a.q0, a.q1);
  const int16x8_t high = detail::to_i16(a.q2, a.q3);
  vst1q_s8(p, vqmovn_high_s16(vqmovn_s16(low), high));
  return detail::add_words(codes, low, high);
}
inline CodeSum store_codes(int16_t* p, F32x16 a, CodeSum codes) {
  const int16x8_t low = detail::to_i16(a.q0, a.q1);
  const int16x8_t high = detail::to_i16(a.q2, a.q3);
  vst1q_s16(p, low);
  vst1q_s16(p + 8, high);
  return detail::add_words(codes, low, high);
}

}  // namespace arrowmind::ARROWMIND_ISA
