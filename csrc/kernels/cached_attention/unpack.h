#pragma once

// Codes of 4 and 3 bits, sixteen side by side -> floats. Included by ISA sources only.
//   4 bits   8 bytes: code i at bit 32 * (i % 2) + 4 * (i / 2), so that one broadcast serves all lanes
//   3 bits   6 bytes: the low two bits of code i at bit 2 * i, then the high bits, bit i each

#include "kernels/simd/f32x16.h"

namespace arrowmind::ARROWMIND_ISA {

// Written by the kernels that pack, in every instruction set.
inline void pack_4_bits(const int8_t* codes, char* packed) {
  uint64_t word = 0;
  for (int i = 0; i < 16; ++i) {
    word |= static_cast<uint64_t>(static_cast<uint8_t>(codes[i])) << (32 * (i % 2) + 4 * (i / 2));
  }
  std::memcpy(packed, &word, 8);
}

inline void pack_3_bits(const int8_t* codes, char* packed) {
  uint32_t low = 0;
  uint32_t high = 0;
  for (int i = 0; i < 16; ++i) {
    const uint32_t code = static_cast<uint8_t>(codes[i]);
    low |= (code & 3u) << (2 * i);
    high |= (code >> 2) << i;
  }
  const uint16_t tops = static_cast<uint16_t>(high);
  std::memcpy(packed, &low, 4);
  std::memcpy(packed + 4, &tops, 2);
}

namespace detail {
inline uint64_t word64(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}
inline uint32_t word32(const char* p) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}
inline uint16_t word16(const char* p) {
  uint16_t word;
  std::memcpy(&word, p, 2);
  return word;
}
}  // namespace detail

#if defined(__AVX512F__)

inline F32x16 load_4_bits(const char* p) {
  const __m512i shifts = _mm512_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);
  const __m512i words =
      _mm512_srlv_epi32(_mm512_set1_epi64(static_cast<long long>(detail::word64(p))), shifts);
  return {_mm512_cvtepi32_ps(_mm512_and_si512(words, _mm512_set1_epi32(15)))};
}
inline F32x16 load_3_bits(const char* p) {
  const __m512i shifts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i words = _mm512_srlv_epi32(_mm512_set1_epi32(static_cast<int>(detail::word32(p))), shifts);
  const __m512i low = _mm512_and_si512(words, _mm512_set1_epi32(3));
  return {_mm512_cvtepi32_ps(_mm512_mask_add_epi32(low, detail::word16(p + 4), low, _mm512_set1_epi32(4)))};
}

#elif defined(__AVX2__)

inline F32x16 load_4_bits(const char* p) {
  const __m256i word = _mm256_set1_epi64x(static_cast<long long>(detail::word64(p)));
  const __m256i mask = _mm256_set1_epi32(15);
  const __m256i low = _mm256_srlv_epi32(word, _mm256_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12));
  const __m256i high = _mm256_srlv_epi32(word, _mm256_setr_epi32(16, 16, 20, 20, 24, 24, 28, 28));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(low, mask)), _mm256_cvtepi32_ps(_mm256_and_si256(high, mask))};
}
namespace detail {
inline __m256 eight_3_bits(__m256i low, __m256i high, int skipped) {
  const __m256i lanes =
      _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(skipped));
  const __m256i twos = _mm256_srlv_epi32(low, _mm256_add_epi32(lanes, lanes));
  const __m256i ones = _mm256_slli_epi32(_mm256_srlv_epi32(high, lanes), 2);
  return _mm256_cvtepi32_ps(_mm256_or_si256(_mm256_and_si256(twos, _mm256_set1_epi32(3)),
                                            _mm256_and_si256(ones, _mm256_set1_epi32(4))));
}
}  // namespace detail
inline F32x16 load_3_bits(const char* p) {
  const __m256i low = _mm256_set1_epi32(static_cast<int>(detail::word32(p)));
  const __m256i high = _mm256_set1_epi32(detail::word16(p + 4));
  return {detail::eight_3_bits(low, high, 0), detail::eight_3_bits(low, high, 8)};
}

#elif defined(ARROWMIND_NEON)

namespace detail {
inline uint32x4_t shifted(uint32_t word, int first, int step) {
  const int32_t shifts[4] = {-first, -first - step, -first - 2 * step, -first - 3 * step};
  return vshlq_u32(vdupq_n_u32(word), vld1q_s32(shifts));
}
inline float32x4_t four_3_bits(uint32_t low, uint32_t high, int first) {
  const uint32x4_t twos = vandq_u32(shifted(low, 2 * first, 2), vdupq_n_u32(3));
  const uint32x4_t ones = vandq_u32(shifted(high, first, 1), vdupq_n_u32(1));
  return vcvtq_f32_u32(vorrq_u32(twos, vshlq_n_u32(ones, 2)));
}
inline float32x4_t four_4_bits(uint64_t word, int first) {
  const uint32_t half[2] = {static_cast<uint32_t>(word), static_cast<uint32_t>(word >> 32)};
  const int32_t shifts[4] = {-2 * first, -2 * first, -2 * first - 4, -2 * first - 4};
  const uint32x2_t both = vld1_u32(half);
  const uint32x4_t words = vshlq_u32(vcombine_u32(both, both), vld1q_s32(shifts));
  return vcvtq_f32_u32(vandq_u32(words, vdupq_n_u32(15)));
}
}  // namespace detail
inline F32x16 load_4_bits(const char* p) {
  const uint64_t word = detail::word64(p);
  return {detail::four_4_bits(word, 0), detail::four_4_bits(word, 4), detail::four_4_bits(word, 8),
          detail::four_4_bits(word, 12)};
}
inline F32x16 load_3_bits(const char* p) {
  const uint32_t low = detail::word32(p);
  const uint32_t high = detail::word16(p + 4);
  return {detail::four_3_bits(low, high, 0), detail::four_3_bits(low, high, 4),
          detail::four_3_bits(low, high, 8), detail::four_3_bits(low, high, 12)};
}

#else

inline F32x16 load_4_bits(const char* p) {
  const uint64_t word = detail::word64(p);
  F32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>((word >> (32 * (i % 2) + 4 * (i / 2))) & 15u);
  return r;
}
inline F32x16 load_3_bits(const char* p) {
  const uint32_t low = detail::word32(p);
  const uint32_t high = detail::word16(p + 4);
  F32x16 r;
  for (int i = 0; i < 16; ++i) {
    r.lane[i] = static_cast<float>(((low >> (2 * i)) & 3u) | (((high >> i) & 1u) << 2));
  }
  return r;
}

#endif

}  // namespace arrowmind::ARROWMIND_ISA
