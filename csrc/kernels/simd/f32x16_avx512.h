#pragma once

// GCC 12 warns of its own _mm512_undefined_ps.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>
#include <cstring>

namespace arrowmind::ARROWMIND_ISA {

struct F32x16 {
  __m512 v;
};

inline F32x16 set1(float x) {
  return {_mm512_set1_ps(x)};
}
inline F32x16 zero() {
  return {_mm512_setzero_ps()};
}
inline F32x16 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
inline void store(float* p, F32x16 a) {
  _mm512_storeu_ps(p, a.v);
}
inline F32x16 keep(F32x16 a) {
  __m512 v = a.v;
  asm("" : "+v"(v));
  return {v};
}
namespace detail {
inline __mmask16 first_lanes(int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff)
                     : static_cast<__mmask16>((1u << (count < 0 ? 0 : count)) - 1u);
}
}  // namespace detail
inline F32x16 load_part(const float* p, int64_t count) {
  return {_mm512_maskz_loadu_ps(detail::first_lanes(count), p)};
}
inline void store_part(float* p, F32x16 a, int64_t count) {
  _mm512_mask_storeu_ps(p, detail::first_lanes(count), a.v);
}
inline F32x16 select_first(F32x16 a, F32x16 b, int64_t count) {
  return {_mm512_mask_mov_ps(b.v, detail::first_lanes(count), a.v)};
}
inline F32x16 load_f16(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
// Rounded to the nearest, ties to even.
inline void store_f16(uint16_t* p, F32x16 a) {
  const __m256i halves = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
}
inline F32x16 load_bf16(const uint16_t* p) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
inline F32x16 load_i8(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline F32x16 load_u8(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
// The floats whose bits are a byte each, shifted.
template <int shift>
inline F32x16 load_bits(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), shift))};
}
inline F32x16 load_i32(const int32_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))};
}
// One number in all lanes, as a float.
inline F32x16 set1_i32(const int32_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_set1_epi32(*p))};
}
inline F32x16 add(F32x16 a, F32x16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline F32x16 div(F32x16 a, F32x16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
inline F32x16 min(F32x16 a, F32x16 b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline F32x16 abs(F32x16 a) {
  return {_mm512_abs_ps(a.v)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline F32x16 sqrt(F32x16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
inline F32x16 power_of_two(F32x16 shifted) {
  const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3f800000)))};
}
inline float sum(F32x16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float reduce_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline F32x16 max_magnitude(F32x16 a, F32x16 b) {
  return {_mm512_castsi512_ps(
      _mm512_max_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(_mm512_abs_ps(b.v))))};
}
inline float reduce_max_magnitude(F32x16 a) {
  const int bits = _mm512_reduce_max_epi32(_mm512_castps_si512(a.v));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
}
// Pairs, then fours within 128 bits, then the 128-bit parts themselves as a 4 x 4 matrix.
inline void transpose(F32x16 (&rows)[16]) {
  __m512 part[4][4];  // part[g][c]: column c of every four, of rows 4 g to 4 g + 3
  for (int g = 0; g < 4; ++g) {
    const __m512 low0 = _mm512_unpacklo_ps(rows[4 * g].v, rows[4 * g + 1].v);
    const __m512 high0 = _mm512_unpackhi_ps(rows[4 * g].v, rows[4 * g + 1].v);
    const __m512 low1 = _mm512_unpacklo_ps(rows[4 * g + 2].v, rows[4 * g + 3].v);
    const __m512 high1 = _mm512_unpackhi_ps(rows[4 * g + 2].v, rows[4 * g + 3].v);
    part[g][0] = _mm512_shuffle_ps(low0, low1, 0x44);
    part[g][1] = _mm512_shuffle_ps(low0, low1, 0xee);
    part[g][2] = _mm512_shuffle_ps(high0, high1, 0x44);
    part[g][3] = _mm512_shuffle_ps(high0, high1, 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 even01 = _mm512_shuffle_f32x4(part[0][c], part[1][c], 0x88);
    const __m512 even23 = _mm512_shuffle_f32x4(part[2][c], part[3][c], 0x88);
    const __m512 odd01 = _mm512_shuffle_f32x4(part[0][c], part[1][c], 0xdd);
    const __m512 odd23 = _mm512_shuffle_f32x4(part[2][c], part[3][c], 0xdd);
    rows[c] = {_mm512_shuffle_f32x4(even01, even23, 0x88)};
    rows[c + 4] = {_mm512_shuffle_f32x4(odd01, odd23, 0x88)};
    rows[c + 8] = {_mm512_shuffle_f32x4(even01, even23, 0xdd)};
    rows[c + 12] = {_mm512_shuffle_f32x4(odd01, odd23, 0xdd)};
  }
}
struct CodeSum {
  __m512i lanes;
};
inline CodeSum zero_codes() {
  return {_mm512_setzero_si512()};
}
inline int32_t sum(CodeSum codes) {
  return _mm512_reduce_add_epi32(codes.lanes);
}
inline CodeSum store_codes(int8_t* p, F32x16 a, CodeSum codes) {
  const __m512i whole = _mm512_cvtps_epi32(a.v);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(whole));
  return {_mm512_add_epi32(codes.lanes, whole)};
}
inline CodeSum store_codes(int16_t* p, F32x16 a, CodeSum codes) {
  const __m512i whole = _mm512_cvtps_epi32(a.v);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(whole));
  return {_mm512_add_epi32(codes.lanes, whole)};
}

}  // namespace arrowmind::ARROWMIND_ISA
