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
  static __m512i dot(__m512i acc, __m512i w, __m512i a) { return _mm512_dpbusd_epi32(acc, a, w); }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i16_i8_14x16x4_avx512vnni(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI16<isa::Dpwssd>>>(p).run();
}
void qmatmul_i8_i8_12x32x4_avx512vnni(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Bytes<isa::Dpbusd>>>(p).run();
}

}  // namespace arrowmind::qmatmul
