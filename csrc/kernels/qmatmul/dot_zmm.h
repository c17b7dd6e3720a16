#pragma once

// Codes in 512-bit registers, with Product::dot(acc, w, a) for the instructions.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/integer_form.h"
#include "kernels/qmatmul/pack_codes.h"

namespace arrowmind::ARROWMIND_ISA {

// As 16-bit words: eight outputs with two partial sums each, so two registers per panel.
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
    pack_words(in, quads, step, out);
  }
};

template <class Product>
struct WordsI8 : Words<Product> {
  using Code = int8_t;
  static void pack(const int8_t* in, int64_t quads, int64_t step, int16_t* out) {
    pack_words(in, quads, step, out);
  }
};

// Codes as bytes, straight from the packed weights: one register = 16 outputs x 4 k. Activations are biased
// to a + 128 when they are packed, as one operand of Product is unsigned, and 128 * w_sum is taken off at the
// end.
template <class Product>
struct Bytes : Product {
  using Vector = __m512i;
  using Code = int8_t;
  using Packed = uint8_t;
  static constexpr bool kDecodes = false;
  static constexpr int kVectors = 1;
  static constexpr int kDecodedAtOnce = 1;
  static constexpr int kRows = 12;
  static constexpr int kMaxPanels = 8;
  // 256 quads of two panels are 32 KB; the next level feeds one line every six cycles easily.
  static constexpr int64_t kChunkQuads = 256;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 8 : rows <= 5 ? 4 : 2; }
  static constexpr int at_once(int rows) { return panels(rows); }

  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const char* p) { return _mm512_loadu_si512(p); }
  static Vector broadcast(const uint8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, 4);
    return _mm512_set1_epi32(codes);
  }

  static void pack_rows(const int8_t* in, int64_t stride, int64_t quads, int64_t rows, uint8_t* out) {
    pack_biased(in, stride, quads, rows, out);
  }
  struct Total {
    Total(const Params& p, int64_t n) {
      if (p.w_sum != nullptr) {
        bias = _mm512_slli_epi32(_mm512_loadu_si512(p.w_sum + n), 7);
        return;
      }
      const int64_t quads = ceil_of(p.k, kQuad);
      const char* w = static_cast<const char*>(p.w) + n / kPanel * quads * kPanel * kQuad;
      bias = zero();
      for (int64_t quad = 0; quad < quads; ++quad) {
        bias =
            Product::dot(bias, load(w + quad * kPanel * kQuad), _mm512_set1_epi8(-128));  // 128 as unsigned
      }
    }
    F32x16 operator()(const Vector* sums) const {
      return {_mm512_cvtepi32_ps(_mm512_sub_epi32(*sums, bias))};
    }
    __m512i bias;  // what the activations' + 128 added to each output
  };
};

}  // namespace arrowmind::ARROWMIND_ISA
