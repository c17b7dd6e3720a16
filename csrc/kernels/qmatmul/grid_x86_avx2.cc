// Grids on AVX2: vpmaddubsw on unsigned codes, sums of several fours of k in 16 bits before they are widened.
//
// Budget of a 16-bit sum: a four adds two products of at most 127 * kLargest to it, so that 32767 / (254 *
// kLargest) fours fit: 8 at 4 bits (15), 5 for FP4 (24), 43 at 2 bits (3), 4 and 2 for trellis codes of 2 and
// 3 bits (31, 63), rounded down to whole rows of codes. int8 codes: |w| * (a with the sign of w) in 16 bits,
// at most 2 * 127 * 127 = 32258, widened at once. int32: a part of 128 k is at most 128 * 127 * 127 < 2^21.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/grid_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridOps {
  struct Row {
    __m256i low, high;
  };
  using I32x16 = Row;
  template <class Codes>
  using Acc = Row;
  static constexpr bool kKeepsOutputs = false;
  static constexpr int kRows = 6;
  static constexpr int kInPlaceRows = 2;
  // One row meets 4 bits a fifth faster so on a Zen 4 (docs/design/0004-grids.md).
  static constexpr bool kFetchesToSecondCache = true;
  static constexpr int panels(int64_t rows) { return rows <= 2 ? 2 : 1; }

  template <class Codes>
  static constexpr int64_t fours() {
    constexpr int kPlanes = Codes::kTraits.planes;
    return Codes::kSigned ? int64_t{1} << 16 : 32767 / (254 * Codes::kLargest) / kPlanes * kPlanes;
  }
  template <class Codes>
  static constexpr int32_t bias() {
    return 0;
  }

  static Row load_row(const char* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
  }
  static void store_row(char* p, Row row) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), row.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), row.high);
  }
  static Row row_and(Row row, int mask) {
    const __m256i bits = _mm256_set1_epi8(static_cast<char>(mask));
    return {_mm256_and_si256(row.low, bits), _mm256_and_si256(row.high, bits)};
  }
  // Shifts move bits across bytes; the mask behind them takes those off.
  template <int count>
  static Row row_right(Row row) {
    return {_mm256_srli_epi16(row.low, count), _mm256_srli_epi16(row.high, count)};
  }
  template <int count>
  static Row row_left(Row row) {
    return {_mm256_slli_epi16(row.low, count), _mm256_slli_epi16(row.high, count)};
  }
  static Row row_or(Row a, Row b) { return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)}; }
  static Row row_add(Row a, Row b) {
    return {_mm256_add_epi8(a.low, b.low), _mm256_add_epi8(a.high, b.high)};
  }
  static Row zero_row() { return none(); }
  static Row row_table(const uint8_t (&table)[16], Row row) {
    const __m256i values =
        _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm256_shuffle_epi8(values, row.low), _mm256_shuffle_epi8(values, row.high)};
  }
  struct Signed {
    Row codes, magnitudes;
  };
  template <class Codes>
  static auto prepare(Row row) {
    if constexpr (Codes::kSigned) {
      return Signed{row, {_mm256_abs_epi8(row.low), _mm256_abs_epi8(row.high)}};
    } else {
      return row;
    }
  }
  template <class Codes>
  static Row product(const Row& w, const int8_t* a) {
    const __m256i codes = broadcast(a);
    return {_mm256_maddubs_epi16(w.low, codes), _mm256_maddubs_epi16(w.high, codes)};
  }
  template <class Codes>
  static void mac(Row& acc, const Row& w, const int8_t* a) {
    const __m256i codes = broadcast(a);
    add_product(acc.low, w.low, codes);
    add_product(acc.high, w.high, codes);
  }
  template <class Codes>
  static Row product(const Signed& w, const int8_t* a) {
    const __m256i codes = broadcast(a);
    return {signed_products(w.magnitudes.low, w.codes.low, codes),
            signed_products(w.magnitudes.high, w.codes.high, codes)};
  }
  template <class Codes>
  static void mac(Row& acc, const Signed& w, const int8_t* a) {
    acc = add(acc, product<Codes>(w, a));
    __asm__ volatile("" : "+x"(acc.low), "+x"(acc.high));
  }
  template <class Codes>
  static I32x16 widen(Row acc) {
    if constexpr (Codes::kSigned) return acc;
    return {pairs(acc.low), pairs(acc.high)};
  }

  // Of sums that count four times, a quarter: exact.
  template <class Codes>
  static Row add_quarter(Row acc, Row fourfold) {
    return {_mm256_add_epi16(acc.low, _mm256_srai_epi16(fourfold.low, 2)),
            _mm256_add_epi16(acc.high, _mm256_srai_epi16(fourfold.high, 2))};
  }

  static Row none() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static I32x16 splat(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static I32x16 add(I32x16 a, I32x16 b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
  }
  static I32x16 sub(I32x16 a, I32x16 b) {
    return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
  }
  static F32x16 to_float(I32x16 a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }

  // Byte j of each four of a row as floats.
  template <class Codes>
  static F32x16 byte_floats(const char* row, int j) {
    const __m128i up = _mm_cvtsi32_si128(24 - 8 * j);
    const auto one = [&](const char* p) {
      const __m256i high = _mm256_sll_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)), up);
      return _mm256_cvtepi32_ps(Codes::kSigned ? _mm256_srai_epi32(high, 24) : _mm256_srli_epi32(high, 24));
    };
    return {one(row), one(row + 32)};
  }

 private:
  static __m256i broadcast(const int8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, 4);
    return _mm256_set1_epi32(codes);
  }
  // Product and sum in one: the compiler would have products of several rows in flight, and move accumulators
  // out of the registers.
  static void add_product(__m256i& acc, __m256i w, __m256i a) {
    __m256i product;
    __asm__(
        "vpmaddubsw %[a], %[w], %[product]\n\t"
        "vpaddw %[product], %[acc], %[acc]"
        : [acc] "+x"(acc), [product] "=&x"(product)
        : [w] "x"(w), [a] "x"(a));
  }
  static __m256i pairs(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }
  static __m256i signed_products(__m256i magnitudes, __m256i codes, __m256i a) {
    return pairs(_mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(a, codes)));
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis3Codes>>(p).run();
}
void qmatmul_f32_i8g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I8Codes>>>(p).run();
}
void qmatmul_f32_i4g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I4Codes>>>(p).run();
}
void qmatmul_f32_i2g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I2Codes>>>(p).run();
}
void qmatmul_f32_fp4g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Fp4Codes>>>(p).run();
}
void qmatmul_f32_t2g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis2Codes>>>(p).run();
}
void qmatmul_f32_t3g_6x16_avx2(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis3Codes>>>(p).run();
}

}  // namespace arrowmind::qmatmul
