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

// For codes in bounded pairs, whose products vpmaddubsw adds up exactly.
struct Maddubs512 {
  static __m512i dot(__m512i acc, __m512i w, __m512i a) {
    const __m512i pairs = _mm512_maddubs_epi16(a, w);
    return _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
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
void qmatmul_f32_bf16_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::Bf16Weights>>(p).run();
}
void qmatmul_f32_i8_14x32_avx512(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::I8Weights>>(p).run();
}
void qmatmul_i16_i8_14x16x4_avx512(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI16<isa::Maddwd512>>>(p).run();
}
void qmatmul_i8_i8p_12x32x4_avx512(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Bytes<isa::Maddubs512>>>(p).run();
}
void qmatmul_i8_i8_14x16x4_avx512(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::WordsI8<isa::Maddwd512>>>(p).run();
}

}  // namespace arrowmind::qmatmul
