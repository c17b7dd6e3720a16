// AVX-512 VNNI. int16 activations: vpdpwssd on sign-extended weights. int8 activations: vpdpbusd straight on
// the packed weights, one register = 16 outputs x 4 k; its first operand is unsigned, so that activations are
// biased to a + 128 when they are packed, and 128 * w_sum is taken off at the end.
//
// Budget: biased codes make intermediate sums up to 255 * 127 * k, which may wrap; int32 addition wraps
// around without loss (vpdpbusd does not saturate), so that the corrected sum is exact where the contract's
// sum fits.

#include <immintrin.h>

#include <cstring>

#include "kernels/qmatmul/dot_zmm.h"
#include "kernels/qmatmul/integer_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct Dpwssd {
  static __m512i dot(__m512i acc, __m512i w, __m512i a) { return _mm512_dpwssd_epi32(acc, w, a); }
};

struct Dpbusd {
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
  static Vector dot(Vector acc, Vector w, Vector a) { return _mm512_dpbusd_epi32(acc, a, w); }

  static void pack(const int8_t* in, int64_t quads, int64_t step, uint8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) {
      uint32_t codes;
      std::memcpy(&codes, in + quad * kQuad, 4);
      codes ^= 0x80808080u;
      std::memcpy(out + quad * step, &codes, 4);
    }
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
        bias = dot(bias, load(w + quad * kPanel * kQuad), _mm512_set1_epi8(-128));  // 128 as unsigned
      }
    }
    F32x16 operator()(const Vector* sums) const {
      return {_mm512_cvtepi32_ps(_mm512_sub_epi32(*sums, bias))};
    }
    __m512i bias;  // what the activations' + 128 added to each output
  };
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i16_i8_14x16x4_avx512vnni(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI16<isa::Dpwssd>>>(p).run();
}
void qmatmul_i8_i8_12x32x4_avx512vnni(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Dpbusd>>(p).run();
}

}  // namespace arrowmind::qmatmul
