// AArch64 with dotprod: sdot straight on the packed weights. Each of the four registers of a 64-byte row
// holds four outputs x 4 k, and one quad of activations is broadcast to all of them; both sides are signed,
// so that nothing has to be biased.

#include <arm_neon.h>

#include <cstring>

#include "kernels/qmatmul/integer_form.h"

namespace arrowmind::ARROWMIND_ISA {

struct Sdot {
  using Vector = int32x4_t;
  using Code = int8_t;
  using Packed = int8_t;
  static constexpr bool kDecodes = false;
  static constexpr int kVectors = 4;
  static constexpr int kDecodedAtOnce = 4;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 4;
  // 256 quads of a panel are 16 KB, and 6 KB of activations.
  static constexpr int64_t kChunkQuads = 256;
  static constexpr int panels(int64_t rows) { return rows <= 1 ? 4 : rows <= 3 ? 2 : 1; }
  static constexpr int at_once(int rows) { return kVectors * panels(rows); }

  static Vector zero() { return vdupq_n_s32(0); }
  static Vector load(const char* p) {
    return vreinterpretq_s32_s8(vld1q_s8(reinterpret_cast<const int8_t*>(p)));
  }
  static Vector broadcast(const int8_t* p) {
    int32_t codes;
    std::memcpy(&codes, p, sizeof(codes));
    return vdupq_n_s32(codes);
  }
  static Vector dot(Vector acc, Vector w, Vector a) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a));
  }
  static void pack(const int8_t* in, int64_t quads, int64_t step, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) std::memcpy(out + quad * step, in + quad * kQuad, kQuad);
  }
  struct Total {
    Total(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const Vector* sums) const {
      return {vcvtq_f32_s32(sums[0]), vcvtq_f32_s32(sums[1]), vcvtq_f32_s32(sums[2]), vcvtq_f32_s32(sums[3])};
    }
  };
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8_i8_6x16x4_neondot(const Params& p) {
  isa::Blocking<isa::IntegerForm<isa::Sdot>>(p).run();
}

}  // namespace arrowmind::qmatmul
