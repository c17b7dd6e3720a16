// Grids on AVX-512 without VNNI: as grid_x86_avx2.cc, the same budgets, on registers twice as wide. There is
// no vpsignb of 512 bits: a mask of the negative codes, made once per row of codes, negates the activations.

#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/grid_zmm.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridOps : GridZmm {
  template <class Codes>
  static constexpr int64_t fours() {
    constexpr int kPlanes = Codes::kTraits.planes;
    return Codes::kSigned ? int64_t{1} << 16 : 32767 / (254 * Codes::kLargest) / kPlanes * kPlanes;
  }
  template <class Codes>
  static constexpr int32_t bias() {
    return 0;
  }

  struct Signed {
    __m512i magnitudes;
    __mmask64 negative;
  };
  template <class Codes>
  static auto prepare(Row row) {
    if constexpr (Codes::kSigned) {
      return Signed{_mm512_abs_epi8(row), _mm512_movepi8_mask(row)};
    } else {
      return row;
    }
  }
  template <class Codes>
  static __m512i product(__m512i w, const int8_t* a) {
    return _mm512_maddubs_epi16(w, broadcast(a));
  }
  template <class Codes>
  static __m512i product(const Signed& w, const int8_t* a) {
    const __m512i codes = broadcast(a);
    const __m512i turned = _mm512_mask_sub_epi8(codes, w.negative, _mm512_setzero_si512(), codes);
    return pairs(_mm512_maddubs_epi16(w.magnitudes, turned));
  }
  template <class Codes, class Weights>
  static void mac(__m512i& acc, const Weights& w, const int8_t* a) {
    const __m512i products = product<Codes>(w, a);
    acc = Codes::kSigned ? _mm512_add_epi32(acc, products) : _mm512_add_epi16(acc, products);
  }
  // Of sums that count four times, a quarter: exact.
  template <class Codes>
  static __m512i add_quarter(__m512i acc, __m512i fourfold) {
    return _mm512_add_epi16(acc, _mm512_srai_epi16(fourfold, 2));
  }
  template <class Codes>
  static I32x16 widen(__m512i acc) {
    return Codes::kSigned ? acc : pairs(acc);
  }

 private:
  static __m512i pairs(__m512i sums) { return _mm512_madd_epi16(sums, _mm512_set1_epi16(1)); }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_12x16_avx512(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis3Codes>>(p).run();
}
void qmatmul_f32_i8g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I8Codes>>>(p).run();
}
void qmatmul_f32_i4g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I4Codes>>>(p).run();
}
void qmatmul_f32_i2g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I2Codes>>>(p).run();
}
void qmatmul_f32_fp4g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Fp4Codes>>>(p).run();
}
void qmatmul_f32_t2g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis2Codes>>>(p).run();
}
void qmatmul_f32_t3g_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis3Codes>>>(p).run();
}

}  // namespace arrowmind::qmatmul
