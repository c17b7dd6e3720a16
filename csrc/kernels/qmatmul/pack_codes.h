#pragma once

// Fours of codes of one row of activations -> where a tile reads them, `step` elements apart, for x86.
// Included by the ISA sources only.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::ARROWMIND_ISA {

// The fours of a tile's rows, [rows][quads][4] with `stride` bytes between rows -> [quads][rows][4], each
// with the bits of `flip` turned over. Four rows by four quads at a time: one by one they cost as much as a
// panel of narrow weights.
template <uint32_t flip>
inline void pack_fours(const int8_t* in, int64_t stride, int64_t quads, int64_t rows, void* packed) {
  char* out = static_cast<char*>(packed);
  const int64_t step = rows * qmatmul::kQuad;
  const __m128i bits = _mm_set1_epi32(static_cast<int>(flip));
  const auto one = [&](int64_t row, int64_t quad) {
    uint32_t codes;
    std::memcpy(&codes, in + row * stride + quad * qmatmul::kQuad, 4);
    codes ^= flip;
    std::memcpy(out + quad * step + row * qmatmul::kQuad, &codes, 4);
  };
  const auto four = [&](int64_t row, int64_t quad) {
    const __m128i codes =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + row * stride + quad * qmatmul::kQuad));
    return _mm_xor_si128(codes, bits);
  };
  const auto put = [&](int64_t row, int64_t quad, __m128i codes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + quad * step + row * qmatmul::kQuad), codes);
  };
  int64_t row = 0;
  if (rows == 2) {
    int64_t quad = 0;
    for (; quad + 4 <= quads; quad += 4) {
      const __m128i r0 = four(0, quad), r1 = four(1, quad);
      put(0, quad, _mm_unpacklo_epi32(r0, r1));
      put(0, quad + 2, _mm_unpackhi_epi32(r0, r1));
    }
    for (; quad < quads; ++quad) {
      one(0, quad);
      one(1, quad);
    }
    return;
  }
  for (; row + 4 <= rows; row += 4) {
    int64_t quad = 0;
    for (; quad + 4 <= quads; quad += 4) {
      const __m128i r0 = four(row, quad), r1 = four(row + 1, quad);
      const __m128i r2 = four(row + 2, quad), r3 = four(row + 3, quad);
      const __m128i low01 = _mm_unpacklo_epi32(r0, r1), high01 = _mm_unpackhi_epi32(r0, r1);
      const __m128i low23 = _mm_unpacklo_epi32(r2, r3), high23 = _mm_unpackhi_epi32(r2, r3);
      put(row, quad, _mm_unpacklo_epi64(low01, low23));
      put(row, quad + 1, _mm_unpackhi_epi64(low01, low23));
      put(row, quad + 2, _mm_unpacklo_epi64(high01, high23));
      put(row, quad + 3, _mm_unpackhi_epi64(high01, high23));
    }
    for (; quad < quads; ++quad) {
      for (int64_t i = 0; i < 4; ++i) one(row + i, quad);
    }
  }
  for (; row < rows; ++row) {
    int64_t quad = 0;
    for (; rows == 1 && quad + 4 <= quads; quad += 4) put(row, quad, four(row, quad));
    for (; quad < quads; ++quad) one(row, quad);
  }
}

// For instructions with one unsigned operand: biased to a + 128. What that adds, 128 * w_sum, is taken off at
// the end.
inline void pack_biased(const int8_t* in, int64_t stride, int64_t quads, int64_t rows, uint8_t* out) {
  pack_fours<0x80808080u>(in, stride, quads, rows, out);
}

// As words.
inline void pack_words(const int8_t* in, int64_t quads, int64_t step, int16_t* out) {
  for (int64_t quad = 0; quad < quads; ++quad) {
    int32_t codes;
    std::memcpy(&codes, in + quad * qmatmul::kQuad, 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + quad * step),
                     _mm_cvtepi8_epi16(_mm_cvtsi32_si128(codes)));
  }
}
inline void pack_words(const int16_t* in, int64_t quads, int64_t step, int16_t* out) {
  for (int64_t quad = 0; quad < quads; ++quad) {
    std::memcpy(out + quad * step, in + quad * qmatmul::kQuad, 8);
  }
}

}  // namespace arrowmind::ARROWMIND_ISA
