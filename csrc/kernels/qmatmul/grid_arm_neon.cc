// Grids on AArch64 without extensions: smlal of eight codes into 16 bits, sums of several fours of k before
// they are widened by pairs.
//
// Budget of a 16-bit sum: a four adds one product of at most 127 * kLargest to it, so that 32767 / (127 *
// kLargest) fours fit: 17 at 4 bits (15), 8 and 4 for trellis codes (31, 63), 10 for FP4 (24), 43 at 2 bits
// (6), 2 at 8 bits (127), rounded down to whole rows of codes. int32: a part of 128 k is at most 128 * 127 *
// 127 < 2^21.

#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/grid_neon.h"

namespace arrowmind::ARROWMIND_ISA {

struct GridOps : GridNeon {
  struct Products {
    int16x8_t low, high;  // of four outputs, four k each
  };
  struct Sums {
    Products q0, q1, q2, q3;
  };
  template <class Codes>
  using Acc = Sums;
  static constexpr int kRows = 3;

  template <class Codes>
  static constexpr int64_t fours() {
    constexpr int kPlanes = Codes::kTraits.planes;
    return 32767 / (127 * Codes::kLargest) / kPlanes * kPlanes;
  }
  template <class Codes>
  static Sums product(const Row& w, const int8_t* a) {
    const int8x16_t codes = broadcast(a);
    return {first(w.q0, codes), first(w.q1, codes), first(w.q2, codes), first(w.q3, codes)};
  }
  template <class Codes>
  static void mac(Sums& acc, const Row& w, const int8_t* a) {
    const int8x16_t codes = broadcast(a);
    add_products(acc.q0, w.q0, codes);
    add_products(acc.q1, w.q1, codes);
    add_products(acc.q2, w.q2, codes);
    add_products(acc.q3, w.q3, codes);
  }
  template <class Codes>
  static I32x16 widen(const Sums& acc) {
    return {pairs(acc.q0), pairs(acc.q1), pairs(acc.q2), pairs(acc.q3)};
  }

 private:
  static Products first(uint8x16_t w, int8x16_t a) {
    const int8x16_t codes = vreinterpretq_s8_u8(w);
    return {vmull_s8(vget_low_s8(codes), vget_low_s8(a)), vmull_high_s8(codes, a)};
  }
  static void add_products(Products& acc, uint8x16_t w, int8x16_t a) {
    const int8x16_t codes = vreinterpretq_s8_u8(w);
    acc.low = vmlal_s8(acc.low, vget_low_s8(codes), vget_low_s8(a));
    acc.high = vmlal_high_s8(acc.high, codes, a);
  }
  static int32x4_t pairs(const Products& sums) {
    return vpaddq_s32(vpaddlq_s16(sums.low), vpaddlq_s16(sums.high));
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8b_i8g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I8Codes>>(p).run();
}
void qmatmul_i8b_i4g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I4Codes>>(p).run();
}
void qmatmul_i8b_i2g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::I2Codes>>(p).run();
}
void qmatmul_i8b_fp4g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Fp4Codes>>(p).run();
}
void qmatmul_i8b_t2g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis2Codes>>(p).run();
}
void qmatmul_i8b_t3g_3x16_neon(const Params& p) {
  isa::Blocking<isa::GridForm<isa::GridOps, isa::Trellis3Codes>>(p).run();
}
void qmatmul_f32_i8g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I8Codes>>>(p).run();
}
void qmatmul_f32_i4g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I4Codes>>>(p).run();
}
void qmatmul_f32_i2g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::I2Codes>>>(p).run();
}
void qmatmul_f32_fp4g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Fp4Codes>>>(p).run();
}
void qmatmul_f32_t2g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis2Codes>>>(p).run();
}
void qmatmul_f32_t3g_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::GridFloats<isa::GridOps, isa::Trellis3Codes>>>(p).run();
}

}  // namespace arrowmind::qmatmul
