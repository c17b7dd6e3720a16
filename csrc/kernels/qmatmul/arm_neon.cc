// AArch64 without extensions. int8 activations: smull of four outputs with two copies of a quad of codes,
// then sadalp, which adds neighbours into 32 bits; the two run on different pipes. An accumulator holds two
// partial sums of four outputs:
//
//   w   | n0k0 n0k1 n0k2 n0k3 | n1k0 .. n1k3 |   8 of 16 x int8
//   a   | k0   k1   k2   k3   | k0   .. k3   |   8 x int8
//   low | n0 (k0 k1), n0 (k2 k3) | n1 ..     |   4 x int32, high the same of n2 and n3
//
// int16 activations: ld4 gives the 16 outputs at each k of a quad, and smlal multiplies them with one lane of
// the activations.
//
// Budget: a product of int8 codes is at most 128 * 127 < 2^15; sums of int32 see qmatmul.h.

#include <arm_neon.h>

#include <cstring>

#include "kernels/qmatmul/float_form.h"
#include "kernels/qmatmul/integer_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct Sadalp {
  struct Vector {
    int32x4_t low, high;  // as weights: 16 codes in `low`
  };
  using Code = int8_t;
  using Packed = int8_t;
  static constexpr bool kDecodes = false;
  static constexpr int kVectors = 4;
  static constexpr int kDecodedAtOnce = 2;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 1;
  // 256 quads of a panel are 16 KB, and 6 KB of activations.
  static constexpr int64_t kChunkQuads = 256;
  static constexpr int panels(int64_t /*rows*/) { return 1; }
  static constexpr int at_once(int rows) { return rows <= 2 ? 4 : 2; }

  static Vector zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Vector load(const char* p) {
    return {vreinterpretq_s32_s8(vld1q_s8(reinterpret_cast<const int8_t*>(p))), vdupq_n_s32(0)};
  }
  static int8x16_t broadcast(const int8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, sizeof(codes));
    return vreinterpretq_s8_s32(vdupq_n_s32(codes));
  }
  static Vector dot(Vector acc, Vector w, int8x16_t a) {
    const int8x16_t codes = vreinterpretq_s8_s32(w.low);
    return {vpadalq_s16(acc.low, vmull_s8(vget_low_s8(codes), vget_low_s8(a))),
            vpadalq_s16(acc.high, vmull_high_s8(codes, a))};
  }
  static void pack(const int8_t* in, int64_t quads, int64_t step, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * step, in + quad * kQuad, kQuad);
  }
  struct Total {
    Total(const Params& /*p*/, int64_t /*n*/) {}
    static float32x4_t four(const Vector& sums) { return vcvtq_f32_s32(vpaddq_s32(sums.low, sums.high)); }
    F32x16 operator()(const Vector* sums) const {
      return {four(sums[0]), four(sums[1]), four(sums[2]), four(sums[3])};
    }
  };
};

struct SmlalLane {
  struct Vector {
    int32x4_t q0, q1, q2, q3;  // sums of 16 outputs; as weights: 16 codes at one k each
  };
  using Code = int16_t;
  using Packed = int16_t;
  static constexpr bool kDecodes = false;
  static constexpr int kVectors = 1;
  static constexpr int kDecodedAtOnce = 1;
  static constexpr int kRows = 4;
  static constexpr int kMaxPanels = 1;
  static constexpr int64_t kChunkQuads = 256;
  static constexpr int panels(int64_t /*rows*/) { return 1; }
  static constexpr int at_once(int /*rows*/) { return 1; }

  static Vector zero() {
    const int32x4_t q = vdupq_n_s32(0);
    return {q, q, q, q};
  }
  static Vector load(const char* p) {
    const int8x16x4_t at = vld4q_s8(reinterpret_cast<const int8_t*>(p));
    return {vreinterpretq_s32_s8(at.val[0]), vreinterpretq_s32_s8(at.val[1]), vreinterpretq_s32_s8(at.val[2]),
            vreinterpretq_s32_s8(at.val[3])};
  }
  static int16x4_t broadcast(const int16_t* p) { return vld1_s16(p); }
  static Vector dot(Vector acc, Vector w, int16x4_t a) {
    return multiply<3>(multiply<2>(multiply<1>(multiply<0>(acc, w.q0, a), w.q1, a), w.q2, a), w.q3, a);
  }
  static void pack(const int16_t* in, int64_t quads, int64_t step, int16_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * step, in + quad * kQuad, 8);
  }
  struct Total {
    Total(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const Vector* sums) const {
      return {vcvtq_f32_s32(sums->q0), vcvtq_f32_s32(sums->q1), vcvtq_f32_s32(sums->q2),
              vcvtq_f32_s32(sums->q3)};
    }
  };

 private:
  template <int kLane>
  static Vector multiply(Vector acc, int32x4_t codes, int16x4_t a) {
    const int8x16_t bytes = vreinterpretq_s8_s32(codes);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
    const int16x8_t high = vmovl_high_s8(bytes);
    return {vmlal_lane_s16(acc.q0, vget_low_s16(low), a, kLane), vmlal_high_lane_s16(acc.q1, low, a, kLane),
            vmlal_lane_s16(acc.q2, vget_low_s16(high), a, kLane),
            vmlal_high_lane_s16(acc.q3, high, a, kLane)};
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_f32_f32_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F32Weights>>(p).run();
}
void qmatmul_f32_f16_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::F16Weights>>(p).run();
}
void qmatmul_f32_bf16_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::Bf16Weights>>(p).run();
}
void qmatmul_f32_i8_6x16_neon(const Params& p) {
  isa::Blocking<isa::FloatForm<isa::I8Weights>>(p).run();
}
void qmatmul_i8_i8_6x8x4_neon(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Sadalp>>(p).run();
}
void qmatmul_i16_i8_4x16x4_neon(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::SmlalLane>>(p).run();
}

}  // namespace arrowmind::qmatmul
