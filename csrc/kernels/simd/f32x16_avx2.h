#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace arrowmind::ARROWMIND_ISA {

struct F32x16 {
  __m256 low, high;
};

inline F32x16 set1(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline F32x16 zero() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline F32x16 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline F32x16 keep(F32x16 a) {
  __m256 low = a.low;
  __m256 high = a.high;
  asm("" : "+x"(low), "+x"(high));
  return {low, high};
}
namespace detail {
// Lanes below `count` all ones, for maskload and maskstore.
inline __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
}  // namespace detail
inline F32x16 load_part(const float* p, int64_t count) {
  return {_mm256_maskload_ps(p, detail::first_lanes(count)),
          _mm256_maskload_ps(p + 8, detail::first_lanes(count - 8))};
}
inline void store_part(float* p, F32x16 a, int64_t count) {
  _mm256_maskstore_ps(p, detail::first_lanes(count), a.low);
  _mm256_maskstore_ps(p + 8, detail::first_lanes(count - 8), a.high);
}
inline F32x16 select_first(F32x16 a, F32x16 b, int64_t count) {
  return {_mm256_blendv_ps(b.low, a.low, _mm256_castsi256_ps(detail::first_lanes(count))),
          _mm256_blendv_ps(b.high, a.high, _mm256_castsi256_ps(detail::first_lanes(count - 8)))};
}
inline F32x16 load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
// Rounded to the nearest, ties to even.
inline void store_f16(uint16_t* p, F32x16 a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.low, kNearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.high, kNearest));
}
inline F32x16 load_bf16(const uint16_t* p) {
  const auto eight = [](const uint16_t* q) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  };
  return {eight(p), eight(p + 8)};
}
inline F32x16 load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline F32x16 load_u8(const uint8_t* p) {
  const auto eight = [](const uint8_t* q) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(q))));
  };
  return {eight(p), eight(p + 8)};
}
// The floats whose bits are a byte each, shifted.
template <int shift>
inline F32x16 load_bits(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), shift)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), shift))};
}
inline F32x16 load_i32(const int32_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))),
          _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8)))};
}
// One number in all lanes, as a float.
inline F32x16 set1_i32(const int32_t* p) {
  const __m256 all = _mm256_cvtepi32_ps(_mm256_set1_epi32(*p));
  return {all, all};
}
inline F32x16 add(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline F32x16 sub(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline F32x16 mul(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline F32x16 div(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline F32x16 min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline F32x16 sqrt(F32x16 a) {
  return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)};
}
namespace detail {
inline __m256 power_of_two(__m256 shifted) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000)));
}
}  // namespace detail
inline F32x16 power_of_two(F32x16 shifted) {
  return {detail::power_of_two(shifted.low), detail::power_of_two(shifted.high)};
}
inline float sum(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float reduce_max(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.low, a.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
namespace detail {
inline __m256 max_magnitude(__m256 a, __m256 b) {
  const __m256i magnitude = _mm256_castps_si256(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), b));
  return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), magnitude));
}
inline __m128 max_bits(__m128 a, __m128 b) {
  return _mm_castsi128_ps(_mm_max_epi32(_mm_castps_si128(a), _mm_castps_si128(b)));
}
}  // namespace detail
inline F32x16 max_magnitude(F32x16 a, F32x16 b) {
  return {detail::max_magnitude(a.low, b.low), detail::max_magnitude(a.high, b.high)};
}
inline float reduce_max_magnitude(F32x16 a) {
  const __m256 eight = detail::max_magnitude(a.low, a.high);
  const __m128 four = detail::max_bits(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = detail::max_bits(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(detail::max_bits(two, _mm_shuffle_ps(two, two, 1)));
}
namespace detail {
// 8 x 8: pairs, then fours, then halves.
inline void transpose8(__m256 (&r)[8]) {
  __m256 pair[8];
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    pair[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  __m256 four[8];
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      four[i + 2 * j] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0x44);
      four[i + 2 * j + 1] = _mm256_shuffle_ps(pair[i + j], pair[i + j + 2], 0xee);
    }
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
  }
}
}  // namespace detail
inline void transpose(F32x16 (&rows)[16]) {
  __m256 quarter[2][2][8];
  for (int i = 0; i < 8; ++i) {
    quarter[0][0][i] = rows[i].low;
    quarter[0][1][i] = rows[i].high;
    quarter[1][0][i] = rows[i + 8].low;
    quarter[1][1][i] = rows[i + 8].high;
  }
  for (auto& half : quarter) {
    detail::transpose8(half[0]);
    detail::transpose8(half[1]);
  }
  for (int i = 0; i < 8; ++i) {
    rows[i] = {quarter[0][0][i], quarter[1][0][i]};
    rows[i + 8] = {quarter[0][1][i], quarter[1][1][i]};
  }
}
struct CodeSum {
  __m256i lanes;
};
inline CodeSum zero_codes() {
  return {_mm256_setzero_si256()};
}
inline int32_t sum(CodeSum codes) {
  const __m128i four =
      _mm_add_epi32(_mm256_castsi256_si128(codes.lanes), _mm256_extracti128_si256(codes.lanes, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
namespace detail {
// 16 lanes as int16, in order (packs works within 128-bit halves, hence the permutation).
inline __m256i to_i16(F32x16 a) {
  const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  return _mm256_permute4x64_epi64(packed, 0xd8);
}
}  // namespace detail
namespace detail {
inline CodeSum add_words(CodeSum codes, __m256i words) {
  return {_mm256_add_epi32(codes.lanes, _mm256_madd_epi16(words, _mm256_set1_epi16(1)))};
}
}  // namespace detail
inline CodeSum store_codes(int8_t* p, F32x16 a, CodeSum codes) {
  const __m256i words = detail::to_i16(a);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  return detail::add_words(codes, words);
}
inline CodeSum store_codes(int16_t* p, F32x16 a, CodeSum codes) {
  const __m256i words = detail::to_i16(a);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), words);
  return detail::add_words(codes, words);
}

}  // namespace arrowmind::ARROWMIND_ISA
