// Grids on AArch64 with dotprod: sdot on decoded codes, four outputs times four k at a time.

#include "kernels/qmatmul/grid_neon.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridOps : GridNeon {
  template <class Codes>
  using Acc = I32x16;
  static constexpr int kRows = 6;

  template <class Codes>
  static constexpr int64_t fours() {
    return int64_t{1} << 16;
  }
  template <class Codes>
  static I32x16 product(const Row& w, const int8_t* a) {
    I32x16 acc = splat(0);
    mac<Codes>(acc, w, a);
    return acc;
  }
  template <class Codes>
  static void mac(I32x16& acc, const Row& w, const int8_t* a) {
    const int8x16_t codes = broadcast(a);
    acc.q0 = vdotq_s32(acc.q0, vreinterpretq_s8_u8(w.q0), codes);
    acc.q1 = vdotq_s32(acc.q1, vreinterpretq_s8_u8(w.q1), codes);
    acc.q2 = vdotq_s32(acc.q2, vreinterpretq_s8_u8(w.q2), codes);
    acc.q3 = vdotq_s32(acc.q3, vreinterpretq_s8_u8(w.q3), codes);
  }
  template <class Codes>
  static I32x16 widen(I32x16 acc) {
    return acc;
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_6x16_neondot(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis3Codes>>(p).run();
}

}  // namespace arrowmind::qmatmul
