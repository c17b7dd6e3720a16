#pragma once

// What grids on AArch64 share, with and without dotprod: a row of 64 codes is four registers of four outputs
// times four k.

#include <arm_neon.h>

#include <cstring>

#include "kernels/qmatmul/grid_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridNeon {
  static constexpr bool kKeepsOutputs = false;
  static constexpr int panels(int64_t /*rows*/) { return 1; }
  struct Row {
    uint8x16_t q0, q1, q2, q3;
  };
  struct I32x16 {
    int32x4_t q0, q1, q2, q3;
  };

  static Row load_row(const char* p) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(p);
    return {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)};
  }
  static void store_row(char* p, Row row) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(p);
    vst1q_u8(bytes, row.q0);
    vst1q_u8(bytes + 16, row.q1);
    vst1q_u8(bytes + 32, row.q2);
    vst1q_u8(bytes + 48, row.q3);
  }
  static Row row_and(Row row, int mask) {
    const uint8x16_t bits = vdupq_n_u8(static_cast<uint8_t>(mask));
    return {vandq_u8(row.q0, bits), vandq_u8(row.q1, bits), vandq_u8(row.q2, bits), vandq_u8(row.q3, bits)};
  }
  template <int count>
  static Row row_right(Row row) {
    return {vshrq_n_u8(row.q0, count), vshrq_n_u8(row.q1, count), vshrq_n_u8(row.q2, count),
            vshrq_n_u8(row.q3, count)};
  }
  template <int count>
  static Row row_left(Row row) {
    return {vshlq_n_u8(row.q0, count), vshlq_n_u8(row.q1, count), vshlq_n_u8(row.q2, count),
            vshlq_n_u8(row.q3, count)};
  }
  static Row row_or(Row a, Row b) {
    return {vorrq_u8(a.q0, b.q0), vorrq_u8(a.q1, b.q1), vorrq_u8(a.q2, b.q2), vorrq_u8(a.q3, b.q3)};
  }
  static Row row_add(Row a, Row b) {
    return {vaddq_u8(a.q0, b.q0), vaddq_u8(a.q1, b.q1), vaddq_u8(a.q2, b.q2), vaddq_u8(a.q3, b.q3)};
  }
  static Row zero_row() {
    const uint8x16_t none = vdupq_n_u8(0);
    return {none, none, none, none};
  }
  static Row row_table(const uint8_t (&table)[16], Row row) {
    const uint8x16_t values = vld1q_u8(table);
    return {vqtbl1q_u8(values, row.q0), vqtbl1q_u8(values, row.q1), vqtbl1q_u8(values, row.q2),
            vqtbl1q_u8(values, row.q3)};
  }
  static int8x16_t broadcast(const int8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, sizeof(codes));
    return vreinterpretq_s8_s32(vdupq_n_s32(codes));
  }
  // Codes are signed operands as they are: those of narrow grids are at most 63.
  template <class Codes>
  static constexpr int32_t bias() {
    return 0;
  }
  template <class Codes>
  static Row prepare(Row row) {
    return row;
  }

  static I32x16 splat(int32_t x) {
    const int32x4_t q = vdupq_n_s32(x);
    return {q, q, q, q};
  }
  static I32x16 add(I32x16 a, I32x16 b) {
    return {vaddq_s32(a.q0, b.q0), vaddq_s32(a.q1, b.q1), vaddq_s32(a.q2, b.q2), vaddq_s32(a.q3, b.q3)};
  }
  static I32x16 sub(I32x16 a, I32x16 b) {
    return {vsubq_s32(a.q0, b.q0), vsubq_s32(a.q1, b.q1), vsubq_s32(a.q2, b.q2), vsubq_s32(a.q3, b.q3)};
  }
  static F32x16 to_float(I32x16 a) {
    return {vcvtq_f32_s32(a.q0), vcvtq_f32_s32(a.q1), vcvtq_f32_s32(a.q2), vcvtq_f32_s32(a.q3)};
  }

  // Byte j of each four of a row as floats.
  template <class Codes>
  static F32x16 byte_floats(const char* row, int j) {
    const int32x4_t up = vdupq_n_s32(24 - 8 * j);
    const auto four = [&](const char* p) {
      int32x4_t codes;
      std::memcpy(&codes, p, sizeof(codes));
      const int32x4_t high = vshlq_s32(codes, up);
      if constexpr (Codes::kSigned) return vcvtq_f32_s32(vshrq_n_s32(high, 24));
      return vcvtq_f32_u32(vshrq_n_u32(vreinterpretq_u32_s32(high), 24));
    };
    return {four(row), four(row + 16), four(row + 32), four(row + 48)};
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
