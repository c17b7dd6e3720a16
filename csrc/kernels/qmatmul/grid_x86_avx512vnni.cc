// Grids on AVX-512 VNNI: vpdpbusd with the codes as its unsigned operand, sixteen outputs times four k at a
// time. int8 codes are biased to w + 128, which 128 * a_sum takes off again: sums are at most 128 * 255 * 127
// < 2^23.

#include "kernels/qmatmul/grid_zmm.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridOps : GridZmm {
  template <class Codes>
  static constexpr int64_t fours() {
    return int64_t{1} << 16;
  }
  template <class Codes>
  static constexpr int32_t bias() {
    return Codes::kSigned ? 128 : 0;
  }
  template <class Codes>
  static __m512i prepare(Row row) {
    return Codes::kSigned ? _mm512_xor_si512(row, _mm512_set1_epi8(-128)) : row;
  }
  template <class Codes>
  static __m512i product(__m512i w, const int8_t* a) {
    __m512i acc = _mm512_setzero_si512();
    mac<Codes>(acc, w, a);
    return acc;
  }
  // Activations straight from memory; the compiler would load each to a register of its own.
  template <class Codes>
  static void mac(__m512i& acc, __m512i w, const int8_t* a) {
    using Four = int8_t[4];
    __asm__("vpdpbusd %[a]%{1to16%}, %[w], %[acc]"
            : [acc] "+v"(acc)
            : [w] "v"(w), [a] "m"(*reinterpret_cast<const Four*>(a)));
  }
  // Of sums that count four times, a quarter: exact.
  template <class Codes>
  static __m512i add_quarter(__m512i acc, __m512i fourfold) {
    return _mm512_add_epi32(acc, _mm512_srai_epi32(fourfold, 2));
  }
  template <class Codes>
  static I32x16 widen(__m512i acc) {
    return acc;
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_12x16_avx512vnni(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis3Codes>>(p).run();
}

}  // namespace arrowmind::qmatmul
