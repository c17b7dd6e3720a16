#pragma once

// What grids on AVX-512 share, with and without VNNI: a row of 64 codes is one register.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/grid_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridZmm {
  using Row = __m512i;
  using I32x16 = __m512i;
  template <class Codes>
  using Acc = __m512i;
  static constexpr bool kKeepsOutputs = true;
  static constexpr int kRows = 12;
  static constexpr int kInPlaceRows = 4;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 4 : rows <= 4 ? 2 : 1; }

  static Row load_row(const char* p) { return _mm512_loadu_si512(p); }
  static void store_row(char* p, Row row) { _mm512_storeu_si512(p, row); }
  static Row row_and(Row row, int mask) {
    return _mm512_and_si512(row, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  // Shifts move bits across bytes; the mask behind them takes those off.
  template <int count>
  static Row row_right(Row row) {
    return _mm512_srli_epi16(row, count);
  }
  template <int count>
  static Row row_left(Row row) {
    return _mm512_slli_epi16(row, count);
  }
  static Row row_or(Row a, Row b) { return _mm512_or_si512(a, b); }
  static Row row_add(Row a, Row b) { return _mm512_add_epi8(a, b); }
  static Row zero_row() { return _mm512_setzero_si512(); }
  static Row row_table(const uint8_t (&table)[16], Row row) {
    const __m128i values = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), row);
  }
  static __m512i broadcast(const int8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, 4);
    return _mm512_set1_epi32(codes);
  }

  static I32x16 splat(int32_t x) { return _mm512_set1_epi32(x); }
  static I32x16 add(I32x16 a, I32x16 b) { return _mm512_add_epi32(a, b); }
  static I32x16 sub(I32x16 a, I32x16 b) { return _mm512_sub_epi32(a, b); }
  static I32x16 times128(I32x16 a) { return _mm512_slli_epi32(a, 7); }
  static F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a)}; }

  // Byte j of each four of a row as floats.
  template <class Codes>
  static F32x16 byte_floats(const char* row, int j) {
    const __m512i high = _mm512_sll_epi32(_mm512_load_si512(row), _mm_cvtsi32_si128(24 - 8 * j));
    return {_mm512_cvtepi32_ps(Codes::kSigned ? _mm512_srai_epi32(high, 24) : _mm512_srli_epi32(high, 24))};
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
