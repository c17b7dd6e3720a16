// AVX-512 without VNNI: float forms with one register per panel, and codes by vpmaddwd on 512 bits (the lanes
// of x86_avx2.cc, eight outputs to a register).

#include <immintrin.h>

#include "kernels/qmatmul/dot_zmm.h"
#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/integer_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct Maddwd512 {
  static __m512i dot(__m512i acc, __m512i w, __m512i a) {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(w, a));
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_f32_f32_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F32Weights>>(p).run();
}
void qmatmul_f32_f16_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F16Weights>>(p).run();
}
void qmatmul_f32_i8_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::I8Weights>>(p).run();
}
void qmatmul_i16_i8_14x16x4_avx512(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI16<isa::Maddwd512>>>(p).run();
}
void qmatmul_i8_i8_14x16x4_avx512(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI8<isa::Maddwd512>>>(p).run();
}

}  // namespace arrowmind::qmatmul
