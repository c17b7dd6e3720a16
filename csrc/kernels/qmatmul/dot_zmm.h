#pragma once

// Codes as 16-bit words in 512-bit registers: eight outputs with two partial sums each, so two registers per
// panel. Product gives dot(acc, w, a): vpmaddwd + vpaddd, or vpdpwssd.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/integer_form.h"

namespace arrowmind::ARROWMIND_ISA {

template <class Product>
struct Words : Product {
  using Vector = __m512i;
  using Packed = int16_t;
  static constexpr bool kDecodes = true;
  static constexpr int kVectors = 2;
  static constexpr int kDecodedAtOnce = 2;
  static constexpr int kRows = 14;
  static constexpr int kMaxPanels = 4;
  // 128 quads of a panel are 16 KB widened, and 12 KB of activations: together inside L1.
  static constexpr int64_t kChunkQuads = 128;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 4 : rows <= 4 ? 2 : 1; }
  static constexpr int at_once(int rows) { return 2 * panels(rows); }

  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const char* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Vector broadcast(const int16_t* p) {
    return _mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  struct Total {
    Total(const Params& /*p*/, int64_t /*n*/) {}
    static __m256i eight(Vector sums) {
      return _mm512_cvtepi64_epi32(_mm512_add_epi32(sums, _mm512_srli_epi64(sums, 32)));
    }
    F32x16 operator()(const Vector* sums) const {
      const __m512i low = _mm512_castsi256_si512(eight(sums[0]));
      return {_mm512_cvtepi32_ps(_mm512_inserti64x4(low, eight(sums[1]), 1))};
    }
  };
};

template <class Product>
struct WordsI16 : Words<Product> {
  using Code = int16_t;
  static void pack(const int16_t* in, int64_t quads, int64_t step, int16_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * step, in + quad * kQuad, 8);
  }
};

template <class Product>
struct WordsI8 : Words<Product> {
  using Code = int8_t;
  static void pack(const int8_t* in, int64_t quads, int64_t step, int16_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) {
      int32_t codes;
      std::memcpy(&codes, in + quad * kQuad, 4);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(out + quad * step),
                       _mm_cvtepi8_epi16(_mm_cvtsi32_si128(codes)));
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA
