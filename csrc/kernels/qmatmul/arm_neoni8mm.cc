// AArch64 with i8mm: smmla (smmla.h). The weights are interleaved once for all row tiles. Between chunks,
// sums lie as those of arm_neondot.cc.

#include <arm_neon.h>

#include <cstring>

#include "kernels/qmatmul/blocking.h"
#include "kernels/qmatmul/smmla.h"
#include "kernels/qmatmul/tile_table.h"

namespace arrowmind::ARROWMIND_ISA {

struct SmmlaForm {
  using Vector = int32x4_t;
  using Code = int8_t;
  using Packed = int8_t;
  static constexpr bool kPadded = true;
  static constexpr bool kDecodes = true;
  static constexpr bool kAlwaysDecodes = false;
  static constexpr int kVectors = 4;
  static constexpr int kRows = 6;
  static constexpr int kMaxPanels = 1;
  static constexpr int kOperands = kSmmlaOperands;
  // 256 quads of a panel are 16 KB, and 6 KB of activations.
  static constexpr int64_t kChunkQuads = 256;
  static constexpr int64_t kQuadBytes = kPanel * kQuad;

  static int64_t quads(const Params& p) { return ceil_of(p.k, kQuad); }
  static int64_t unit(const Params& /*p*/) { return 1; }
  static int64_t panel_bytes(const Params& p) { return quads(p) * kQuadBytes; }
  static constexpr int64_t decoded_quad_bytes() { return kQuadBytes; }
  static constexpr int panels(int64_t /*rows*/) { return 1; }

  static void pack(const int8_t* in, int64_t quads, int64_t rows, int8_t* out) {
    for (int64_t quad = 0; quad < quads; ++quad) {
      std::memcpy(out + quad * rows * kQuad, in + quad * kQuad, kQuad);
    }
  }

  // A chunk as operands: [pair of quads][8 operands]; zeros beside the last quad of an odd number.
  static void decode(const TileArgs<SmmlaForm>& t, int64_t /*panels*/, char* out) {
    const char* w = t.w;
    int8_t* decoded = reinterpret_cast<int8_t*>(out);
    for (int64_t quad = 0; quad < t.quads; quad += 2, w += 2 * kQuadBytes, decoded += 2 * kQuadBytes) {
      int8x16_t operands[kOperands];
      interleave(w, quad + 1 < t.quads, operands);
#pragma GCC unroll 8
      for (int i = 0; i < kOperands; ++i) vst1q_s8(decoded + 16 * i, operands[i]);
    }
  }

  struct Finish {
    Finish(const Params& /*p*/, int64_t /*n*/) {}
    F32x16 operator()(const PanelEpilogue& epilogue, int64_t m, const Vector* sums) const {
      return epilogue.dequantise(m, {vcvtq_f32_s32(sums[0]), vcvtq_f32_s32(sums[1]), vcvtq_f32_s32(sums[2]),
                                     vcvtq_f32_s32(sums[3])});
    }
  };

  static Tile<SmmlaForm> tile(int64_t rows, int64_t panels, bool decoded) {
    return pick_tile<SmmlaForm>(rows, panels, decoded);
  }

  template <int R, int P, bool kDecoded>
  static void run_tile(const TileArgs<SmmlaForm>& t) {
    static_assert(P == 1);
    SmmlaSums<R> acc;
    load_sums<R>(t, acc.pair);
    const int8_t* a = t.a;
    const char* w = t.w;
    int64_t quad = 0;
    for (; quad + 2 <= t.quads; quad += 2, a += 2 * R * kQuad, w += 2 * kQuadBytes) {
      if (quad < t.next_lines) __builtin_prefetch(t.next + quad * 64, 0, 2);
      if (quad + 1 < t.next_lines) __builtin_prefetch(t.next + quad * 64 + 64, 0, 2);
      step<R, kDecoded, true>(a, w, acc);
    }
    if (quad < t.quads) step<R, kDecoded, false>(a, w, acc);
    store_sums<R>(t, acc.pair);
  }

 private:
  static int8x16_t load_codes(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }

  [[gnu::always_inline]] static void interleave(const char* w, bool has_second, int8x16_t (&out)[kOperands]) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const int8x16_t first = load_codes(w + 16 * i);
      const int8x16_t second = has_second ? load_codes(w + kQuadBytes + 16 * i) : vdupq_n_s8(0);
      out[2 * i] = zip_quads_low(first, second);
      out[2 * i + 1] = zip_quads_high(first, second);
    }
  }

  template <int R, bool kDecoded, bool kSecond>
  [[gnu::always_inline]] static void step(const int8_t* a, const char* w, SmmlaSums<R>& acc) {
    int8x16_t weights[kOperands];
    if constexpr (kDecoded) {
#pragma GCC unroll 8
      for (int i = 0; i < kOperands; ++i) weights[i] = load_codes(w + 16 * i);
    } else {
      interleave(w, kSecond, weights);
    }
    smmla_step<R, kSecond>(a, weights, acc);
  }

  // Sums of two rows and four outputs lie as one register per row; in the tile, as one per two outputs.
  template <int R>
  [[gnu::always_inline]] static void load_sums(const TileArgs<SmmlaForm>& t,
                                               Vector (&acc)[(R + 1) / 2][kOperands]) {
#pragma GCC unroll 3
    for (int r = 0; r < R; r += 2) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const Vector zero = vdupq_n_s32(0);
        const Vector even = t.first ? zero : t.sums[r * kVectors + i];
        const Vector odd = t.first || r + 1 == R ? zero : t.sums[(r + 1) * kVectors + i];
        acc[r / 2][2 * i] = low_halves(even, odd);
        acc[r / 2][2 * i + 1] = high_halves(even, odd);
      }
    }
  }

  template <int R>
  [[gnu::always_inline]] static void store_sums(const TileArgs<SmmlaForm>& t,
                                                const Vector (&acc)[(R + 1) / 2][kOperands]) {
#pragma GCC unroll 3
    for (int r = 0; r < R; r += 2) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const Vector* two = acc[r / 2] + 2 * i;
        t.sums[r * kVectors + i] = low_halves(two[0], two[1]);
        if (r + 1 < R) t.sums[(r + 1) * kVectors + i] = high_halves(two[0], two[1]);
      }
    }
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

namespace arrowmind::qmatmul {

namespace isa = arrowmind::ARROWMIND_ISA;

void qmatmul_i8_i8_6x16x8_neoni8mm(const Params& p) {
  isa::Blocking<isa::SmmlaForm>(p).run();
}

}  // namespace arrowmind::qmatmul
